// Copyright 2026 The loop_ros authors, SPDX-License-Identifier: Apache-2.0
// Draws each figure when it comes into view, in the colours of the page.
(function () {
  'use strict';
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const drawn = new Set();

  // The plotting library, which is packed into the page.
  async function unpack(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), function (c) { return c.charCodeAt(0); });
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    const script = document.createElement('script');
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function colours(place) {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue('--text').trim();
    const line = style.getPropertyValue('--line').trim();
    const panel = style.getPropertyValue('--panel').trim();
    const found = {
      'paper_bgcolor': 'rgba(0,0,0,0)',
      'plot_bgcolor': 'rgba(0,0,0,0)',
      'font.color': text,
      'hoverlabel.bgcolor': panel,
      'hoverlabel.font.color': text,
      'legend.bgcolor': 'rgba(0,0,0,0)',
    };
    const axes = Object.keys(place.layout).filter(function (name) { return /^[xy]axis\d*$/.test(name); });
    for (const axis of axes) {
      found[axis + '.gridcolor'] = line;
      found[axis + '.linecolor'] = line;
      found[axis + '.zerolinecolor'] = line;
    }
    return found;
  }

  function draw(place) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    // A finger scrolls the page; a mouse zooms, and a double click zooms out.
    figure.layout.dragmode = window.matchMedia('(pointer: coarse)').matches ? false : 'zoom';
    if (figure.layout.legend && place.clientWidth < 480) { // the legend below has one name a line
      const named = figure.data.filter(function (trace) { return trace.name && trace.showlegend !== false; });
      const lines = named.reduce(function (sum, trace) { return sum + trace.name.split('<br>').length; }, 0);
      figure.layout.legend.maxheight = 0.9;
      figure.layout.height = Math.max(figure.layout.height || 0, 300 + 20 * lines);
    }
    const config = {responsive: true, displayModeBar: false};
    Plotly.newPlot(place, figure.data, figure.layout, config).then(function () {
      drawn.add(place);
      return Plotly.relayout(place, colours(place));
    });
  }

  const watcher = new IntersectionObserver(function (entries) {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        watcher.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, {rootMargin: '400px'});
  unpack('plotlyjs').then(function () {
    document.querySelectorAll('.plot').forEach(function (place) { watcher.observe(place); });
  }).catch(function (error) {
    const problem = document.createElement('p');
    problem.className = 'problems';
    problem.textContent = 'The figures need a browser of 2023 or newer (' + error.message + ').';
    document.querySelector('main').prepend(problem);
  });
  dark.addEventListener('change', function () {
    drawn.forEach(function (place) { Plotly.relayout(place, colours(place)); });
  });
})();
