"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const canvas = byId("canvas"), context = canvas.getContext("2d");
  const pictures = { before: byId("before"), after: byId("after"), probability: byId("probability") };
  const swipe = byId("swipe");
  const shown = { changes: byId("show-changes"), probability: byId("show-probability") };
  const paths = data.changes.map((change) => new Path2D(change.path));
  const edges = data.changes.map(({ box }) => Math.max(box[2] - box[0], box[3] - box[1])).sort((one, other) => one - other);
  const typical = edges.length ? edges[edges.length >> 1] : 1; // edge of a change in page pixels
  const number = new Map(data.changes.map((change, i) => [change.id, i]));
  const rows = new Map();
  let chosen = -1, size = [1, 1], waiting = false, onPaper = false;
  let view = { x: 0, y: 0, scale: 1 }; // page pixels at the canvas' upper left corner, screen pixels each

  const whole = () => Math.min(size[0] / data.width, size[1] / data.height);
  const limited = (scale) => Math.min(Math.max(scale, whole() * 0.8), Math.max(16, whole() * 2));

  function showAll() {
    const scale = whole();
    view = { x: data.width / 2 - size[0] / scale / 2, y: data.height / 2 - size[1] / scale / 2, scale };
    draw();
  }

  function zoom(factor, x = size[0] / 2, y = size[1] / 2) {
    const scale = limited(view.scale * factor);
    view = { x: view.x + x / view.scale - x / scale, y: view.y + y / view.scale - y / scale, scale };
    draw();
  }

  function move(right, down) {
    view.x = Math.min(Math.max(view.x + right / view.scale, -size[0] / view.scale / 2), data.width - size[0] / view.scale / 2);
    view.y = Math.min(Math.max(view.y + down / view.scale, -size[1] / view.scale / 2), data.height - size[1] / view.scale / 2);
    draw();
  }

  // On paper there is no line to move: the later scene is whole.
  const line = () => (swipe && !onPaper ? (size[0] * swipe.value) / swipe.max : 0);

  function drawPicture(picture, place, from, to, alpha) {
    if (!picture || !picture.complete || !picture.naturalWidth || to <= from) return;
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, size[1]);
    context.clip();
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = view.scale * place[2] / picture.naturalWidth < 1.5;
    context.drawImage(picture, (place[0] - view.x) * view.scale, (place[1] - view.y) * view.scale, place[2] * view.scale, place[3] * view.scale);
    context.restore();
  }

  function drawOutlines() {
    const scale = view.scale, right = view.x + size[0] / scale, bottom = view.y + size[1] / scale;
    const inView = (box) => box[2] >= view.x && box[0] <= right && box[3] >= view.y && box[1] <= bottom;
    context.save();
    context.fillStyle = "#d400a0";
    const dot = 2;
    for (let i = 0; i < data.dots.length; i += 2) {
      context.fillRect((data.dots[i] - view.x) * scale - dot / 2, (data.dots[i + 1] - view.y) * scale - dot / 2, dot, dot);
    }
    context.scale(scale, scale);
    context.translate(-view.x, -view.y);
    // Where changes are small on the screen, thin lines keep them apart.
    const wide = Math.min(1, Math.max(0.4, (typical * view.scale) / 24));
    for (const [colour, width] of [["#ffffff", 3 * wide], ["#d400a0", 1.4 * wide]]) {
      context.strokeStyle = colour;
      context.lineWidth = width / scale;
      data.changes.forEach((change, i) => inView(change.box) && context.stroke(paths[i]));
    }
    if (chosen >= 0) {
      context.strokeStyle = "#00e5ff";
      context.lineWidth = 3 / scale;
      context.stroke(paths[chosen]);
    }
    context.restore();
  }

  function drawLine() {
    const x = line();
    context.fillStyle = "#fff";
    context.fillRect(x - 1.5, 0, 3, size[1]);
    context.beginPath();
    context.arc(x, size[1] / 2, 14, 0, 7);
    context.fill();
    context.fillStyle = "#1d2127";
    context.font = "16px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("\u2194", x, size[1] / 2);
  }

  function drawScale() {
    if (!data.metres) return;
    const most = (size[0] / 4) * (data.metres / view.scale), power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((step) => step * power).find((each) => each <= most) || power;
    const wide = (length / data.metres) * view.scale;
    const text = length >= 1000 ? `${length / 1000} km` : `${length} m`;
    context.fillStyle = "rgba(0, 0, 0, .6)";
    context.fillRect(8, size[1] - 32, wide + 16, 24);
    context.fillStyle = "#fff";
    context.fillRect(16, size[1] - 14, wide, 2);
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(text, 16, size[1] - 18);
  }

  function paint() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size[0], size[1]);
    drawPicture(pictures.after, data.cover, line(), size[0], 1);
    drawPicture(pictures.before, data.cover, 0, line(), 1);
    if (shown.probability.checked) drawPicture(pictures.probability, [0, 0, data.width, data.height], 0, size[0], 0.8);
    if (shown.changes.checked) drawOutlines();
    if (swipe && !onPaper) drawLine();
    drawScale();
  }

  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(paint);
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1, first = size[0] === 1;
    const middle = [view.x + size[0] / view.scale / 2, view.y + size[1] / view.scale / 2];
    size = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(size[0] * ratio);
    canvas.height = Math.round(size[1] * ratio);
    if (first) return showAll();
    view.x = middle[0] - size[0] / view.scale / 2;
    view.y = middle[1] - size[1] / view.scale / 2;
    draw();
  }

  function choose(i, { seek = false, scroll = false } = {}) {
    const earlier = chosen >= 0 && rows.get(data.changes[chosen].id);
    if (earlier) earlier.classList.remove("chosen");
    chosen = i;
    const row = i >= 0 && rows.get(data.changes[i].id);
    if (row) {
      row.classList.add("chosen");
      const cells = [...row.cells].filter((cell) => !cell.querySelector("svg")).map((cell) => cell.textContent.trim());
      byId("chosen").textContent = `Change ${cells.filter(Boolean).join(", ")}`;
      if (scroll) row.scrollIntoView({ block: "nearest" });
    } else byId("chosen").textContent = "No change is chosen.";
    if (seek && i >= 0) {
      const [left, top, right, bottom] = data.changes[i].box;
      const wanted = Math.min(size[0] / (right - left), size[1] / (bottom - top)) / 2;
      const scale = limited(Math.min(wanted, 4));
      view = { x: (left + right) / 2 - size[0] / scale / 2, y: (top + bottom) / 2 - size[1] / scale / 2, scale };
    }
    draw();
  }

  function changeAt(x, y) {
    const at = [view.x + x / view.scale, view.y + y / view.scale], near = 8 / view.scale;
    let best = -1, least = Infinity;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    data.changes.forEach((change, i) => {
      const [left, top, right, bottom] = change.box;
      if (at[0] < left - near || at[0] > right + near || at[1] < top - near || at[1] > bottom + near) return;
      const inside = context.isPointInPath(paths[i], at[0], at[1], "evenodd");
      const rank = (right - left) * (bottom - top) + (inside ? 0 : 1e12);
      const small = right - left < 2 * near || bottom - top < 2 * near;
      if ((inside || small) && rank < least) [best, least] = [i, rank];
    });
    context.restore();
    return best;
  }

  // Pointers: one moves the map or the line, two pinch.
  const down = new Map();
  let moved = 0, dragsLine = false;
  const place = (event) => {
    const frame = canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at);
    moved = 0;
    dragsLine = Boolean(swipe) && down.size === 1 && Math.abs(at[0] - line()) < 16;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const at = place(event);
    moved += Math.hypot(at[0] - before[0], at[1] - before[1]);
    if (down.size === 2) {
      const other = [...down.entries()].find(([id]) => id !== event.pointerId)[1];
      const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
      zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    } else if (dragsLine) {
      swipe.value = (at[0] / size[0]) * swipe.max;
      draw();
    } else move(before[0] - at[0], before[1] - at[1]);
    down.set(event.pointerId, at);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || event.type !== "pointerup" || moved > 5) return;
    choose(changeAt(...place(event)), { scroll: true });
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls
    event.preventDefault();
    zoom(2 ** (-event.deltaY / 300), ...place(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2, ...place(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = 60;
    const keys = {
      ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0),
      ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: showAll,
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.5));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("zoom-all").addEventListener("click", showAll);
  const paintFor = (paper) => {
    onPaper = paper;
    paint();
  };
  addEventListener("beforeprint", () => paintFor(true));
  addEventListener("afterprint", () => paintFor(false));
  for (const input of [swipe, shown.changes, shown.probability]) if (input) input.addEventListener("input", draw);
  for (const picture of Object.values(pictures)) if (picture) picture.addEventListener("load", draw);

  const outlines = byId("show-outlines");
  if (outlines) outlines.addEventListener("input", () => byId("largest").classList.toggle("plain", !outlines.checked));

  const table = byId("list");
  if (table) {
    const body = table.tBodies[0];
    for (const row of body.rows) rows.set(Number(row.dataset.id), row);
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      choose(number.get(Number(row.dataset.id)), { seek: true });
      if (event.target.closest("button")) byId("viewer").scrollIntoView({ block: "nearest" });
    });
  }

  byId("viewer").hidden = false;
  document.documentElement.classList.add("live");
  resize(); // the observer reports at the next frame
  new ResizeObserver(resize).observe(canvas);
})();
