# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build messages that no wheel has, with the generators that come as wheels and a C++ compiler.

`build_messages.py PACKAGE ...` generates and compiles messages/PACKAGE/msg/*.msg into the
environment that runs it: one Python extension a package, for Fast DDS alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from rosidl_cli.command.translate.api import translate
from rosidl_generator_c.cli import GenerateC
from rosidl_generator_py.cli import GeneratePython
from rosidl_typesupport_c.cli import GenerateCTypesupport
from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

SOURCES = Path(__file__).resolve().parent / 'messages'
PREFIX = Path(sys.prefix)
USED = ('builtin_interfaces', 'geometry_msgs', 'service_msgs', 'std_msgs')  # by these packages
SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
KINDS = ('rosidl_generator_c', 'rosidl_generator_py', *SUPPORTS)
RUNTIME = ('rosidl_runtime_c', 'rosidl_typesupport_c', *SUPPORTS)
FAST_DDS = ('rosidl_typesupport_fastrtps_cpp', 'fastcdr', 'rcutils', 'rmw')


def main(packages: list[str]) -> None:
    """Build all of them."""
    os.environ['AMENT_PREFIX_PATH'] = sys.prefix  # where the generators look for templates
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            build(package, Path(folder))


def build(package: str, folder: Path) -> None:
    """Generate in a folder, compile, and install into site-packages."""
    out = folder / package
    generate(package, out)
    suffix = 'rosidl_typesupport_c'
    entry = next(out.glob(f'_{package}_s.ep.{suffix}.c'))
    sources = [p for p in sorted(out.rglob('*.c')) if '.ep.' not in p.name] + [entry]
    extension = out / f'{package}_s__{suffix}.so'
    compile_extension(sources, sorted(out.rglob('*.cpp')), folder, extension)
    target = Path(sysconfig.get_paths()['platlib']) / package
    shutil.rmtree(target, ignore_errors=True)
    for path in [*out.rglob('*.py'), extension]:
        (target / path.relative_to(out)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.relative_to(out))
    for support in SUPPORTS:  # which are loaded by these names
        link = PREFIX / 'lib' / f'lib{package}__{support}.so'
        link.unlink(missing_ok=True)
        link.symlink_to(target / extension.name)


def generate(package: str, out: Path) -> None:
    """C, its type support for Fast DDS, and Python."""
    messages = [
        f'{SOURCES / package}:{path.relative_to(SOURCES / package)}'
        for path in sorted((SOURCES / package).glob('msg/*.msg'))
    ]
    include_paths = [str(PREFIX / 'share' / name) for name in USED]
    idl = translate(
        package_name=package,
        interface_files=messages,
        include_paths=include_paths,
        output_format='idl',
        output_path=out,
    )
    for generator in (
        GenerateC('c'),
        GenerateFastRTPSCTypesupport('fastrtps_c'),
        GenerateIntrospectionCTypesupport('introspection_c'),
        GenerateCTypesupport('c', typesupport_implementations=list(SUPPORTS)),
        GeneratePython('py', typesupport_implementations=['rosidl_typesupport_c']),
    ):
        generator.generate(package, list(idl), include_paths, out)


def compile_extension(c: list[Path], cpp: list[Path], folder: Path, extension: Path) -> None:
    """One shared object of all sources."""
    headers = PREFIX / 'include'
    packages = [path for path in headers.iterdir() if path.is_dir()]
    python = sysconfig.get_paths()['include']
    include = [folder, headers, *packages, np.get_include(), python]
    flags = ['-O2', '-fPIC', '-w', *(f'-I{path}' for path in include)]
    objects = []
    for compiler, sources in (('cc', c), ('c++', cpp)):
        for source in sources:
            objects.append(str(folder / f'{len(objects)}.o'))
            subprocess.run([compiler, *flags, '-c', source, '-o', objects[-1]], check=True)
    lib = PREFIX / 'lib'
    names = [f'{package}__{kind}' for package in USED for kind in KINDS]
    linked = [f'-l{name}' for name in (*names, *RUNTIME, *FAST_DDS)]
    command = ['c++', '-shared', '-o', str(extension), *objects, f'-L{lib}', f'-Wl,-rpath,{lib}']
    subprocess.run([*command, *linked], check=True)


if __name__ == '__main__':
    main(sys.argv[1:])
