// All tracks over time. Only the rows and the time that are visible are drawn.
const ROW = 20, HEAD = 24, GUTTER = 84;

export class Timeline {
  constructor(element, app) {
    this.element = element;
    this.app = app;
    [this.canvas, this.filler] = element.children;
    this.start = 0;
    this.end = 1; // visible frames
    new ResizeObserver(() => this.draw()).observe(element);
    element.addEventListener("scroll", () => this.draw());
    element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.frameAt(event));
      else this.move((event.deltaX || event.deltaY) / 500 * (this.end - this.start));
    }, { passive: false });
    let held = false;
    const press = (event) => {
      const track = this.trackAt(event);
      app.player.pause();
      if (track) app.choose(track.id);
      app.player.show(this.frameAt(event));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      held = event.pointerType === "mouse" && event.button === 0;
      if (held) press(event);
    });
    this.canvas.addEventListener("click", (event) => { if (event.pointerType !== "mouse") press(event); }); // a finger may scroll
    this.canvas.addEventListener("pointermove", (event) => { if (held) app.player.show(this.frameAt(event)); });
    addEventListener("pointerup", () => { held = false; });
  }

  reset() { this.start = 0; this.end = Math.max(this.app.times.length, 1); }

  changed() {
    const height = HEAD + this.app.tracks.length * ROW + 6;
    this.filler.style.height = `${Math.max(height - this.canvas.clientHeight, 0)}px`;
    this.draw();
  }

  zoom(factor, around = this.app.player.index) {
    const count = this.app.times.length, span = this.end - this.start;
    const wanted = Math.min(Math.max(span * factor, Math.min(20, count)), count);
    const start = around - (around - this.start) * wanted / span;
    this.start = Math.min(Math.max(start, 0), count - wanted);
    this.end = this.start + wanted;
    this.draw();
  }

  move(frames) {
    const span = this.end - this.start;
    this.start = Math.min(Math.max(this.start + frames, 0), this.app.times.length - span);
    this.end = this.start + span;
    this.draw();
  }

  follow(index) { // keep the frame in view
    if (index < this.start || index >= this.end) this.move(index - (this.start + this.end) / 2);
    else this.draw();
  }

  reveal(id) {
    const row = this.app.tracks.findIndex((track) => track.id === id), top = row * ROW;
    const view = this.element.clientHeight - HEAD - ROW;
    if (row < 0 || (top >= this.element.scrollTop && top <= this.element.scrollTop + view)) return;
    this.element.scrollTop = top - view / 2;
  }

  frameAt(event) {
    const x = event.clientX - this.canvas.getBoundingClientRect().left - GUTTER;
    const share = Math.min(Math.max(x / (this.canvas.clientWidth - GUTTER - 8), 0), 1);
    return Math.min(Math.round(this.start + share * (this.end - 1 - this.start)), this.app.times.length - 1);
  }

  trackAt(event) {
    const y = event.clientY - this.canvas.getBoundingClientRect().top;
    return y < HEAD ? null : this.app.tracks[Math.floor((y - HEAD + this.element.scrollTop) / ROW)];
  }

  draw() {
    const { canvas, element, app } = this, ratio = devicePixelRatio;
    const width = element.clientWidth, height = element.clientHeight;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (!app.times.length) return;
    const context = canvas.getContext("2d"), style = getComputedStyle(document.body);
    const probe = getComputedStyle(element), ink = style.color, line = probe.borderTopColor;
    context.scale(ratio, ratio);
    const at = (frame) => GUTTER + (frame - this.start) / Math.max(this.end - 1 - this.start, 1) * (width - GUTTER - 8);
    const first = Math.floor(element.scrollTop / ROW), offset = HEAD - element.scrollTop;
    const last = Math.min(first + Math.ceil(height / ROW) + 1, app.tracks.length);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let row = first; row < last; row++) {
      const track = app.tracks[row], y = offset + row * ROW, chosen = app.selected.includes(track.id);
      if (chosen) { context.fillStyle = line; context.globalAlpha = 0.55; context.fillRect(0, y, width, ROW); context.globalAlpha = 1; }
      context.fillStyle = ink;
      context.font = `${chosen ? 600 : 400} 12px system-ui, sans-serif`;
      context.fillText(app.label(track.id), 10, y + ROW / 2, GUTTER - 16);
      context.fillStyle = track.colour;
      const { spans } = track;
      let from = null, to = null; // spans that touch on the screen are one
      for (let each = 0; each < spans.length; each += 2) {
        if (spans[each + 1] < this.start || spans[each] > this.end) continue;
        const left = Math.max(at(spans[each] - 0.5), GUTTER), right = Math.min(at(spans[each + 1] + 0.5), width - 4);
        if (from !== null && left - to < 0.7) { to = Math.max(to, right); continue; }
        if (from !== null) context.fillRect(from, y + 5, Math.max(to - from, 1.5), ROW - 10);
        [from, to] = [left, right];
      }
      if (from !== null) context.fillRect(from, y + 5, Math.max(to - from, 1.5), ROW - 10);
    }
    context.fillStyle = probe.backgroundColor;
    context.fillRect(0, 0, width, HEAD);
    this.drawTimes(context, at, ink, width);
    context.fillStyle = app.colours.risk;
    for (const moment of app.moments) {
      if (moment.index < this.start || moment.index > this.end) continue;
      context.globalAlpha = 0.25 + 0.75 * moment.risk;
      context.fillRect(at(moment.index) - 1, HEAD - 6, 2, 5);
    }
    context.globalAlpha = 1;
    context.fillStyle = line;
    context.fillRect(0, HEAD - 1, width, 1);
    const x = at(app.player.index);
    if (x >= GUTTER - 1) { context.fillStyle = app.colours.accent; context.fillRect(x - 1, 0, 2, height); }
  }

  drawTimes(context, at, ink, width) {
    const { times } = this.app, last = times.length - 1;
    const from = times[Math.max(Math.floor(this.start), 0)], to = times[Math.min(Math.ceil(this.end), last)];
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((each) => (to - from) / each <= (width - GUTTER) / 76) ?? 7200;
    context.font = "11px system-ui, sans-serif";
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const x = at(this.app.indexAt(time + 1e-6));
      context.fillStyle = ink;
      context.globalAlpha = 0.6;
      if (x < width - 36) context.fillText(this.app.time(time, step < 1 ? 1 : 0), x + 4, 9);
      context.fillRect(x, 0, 1, HEAD - 8);
      context.globalAlpha = 1;
    }
  }
}
