# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a process that uses Fast DDS: orderly if it can be, certain in any case."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

_SIGEV_THREAD = 2  # <signal.h>


class _Notification(ctypes.Structure):
    """`struct sigevent` of 64-bit Linux: call `function(value)` in a thread of its own."""

    _fields_ = (
        ('value', ctypes.c_long),
        ('number', ctypes.c_int),
        ('notify', ctypes.c_int),
        ('function', ctypes.c_void_p),
        ('attributes', ctypes.c_void_p),
        ('reserved', ctypes.c_char * 32),
    )


def end_within(seconds: float, code: int) -> None:
    """Have this process end with exit code `code` in so many seconds, should it not do so itself.

    Fast DDS 2.14 can deadlock when a participant is deleted in the moment in which another one
    comes or goes, and rclpy holds the interpreter's lock meanwhile. No Python code could end the
    process then, so a timer of the C library does.

    :raises OSError: the system has no timer to give.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    function = ctypes.cast(libc._exit, ctypes.c_void_p)
    notification = _Notification(value=code, notify=_SIGEV_THREAD, function=function)
    timer = ctypes.c_void_p()
    if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(notification), ctypes.byref(timer)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    whole, fraction = divmod(seconds, 1.0)
    times = (ctypes.c_long * 4)(0, 0, int(whole), int(fraction * 1e9))  # struct itimerspec
    libc.timer_settime(timer, 0, times, None)


def end_despite_threads(code: int) -> None:
    """End this process now with exit code `code` where a daemon thread still works.

    The interpreter's own end unwinds such threads, and inside of torch that is a SIGABRT.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
