// The video, one exact frame after the other, with the tracked people drawn on it.
import * as api from "/api.js";

const CHUNK = 64; // frames whose people are fetched at once
const AHEAD = 4; // frames that are fetched while playing
const KEPT = 24; // decoded frames

export class Player {
  constructor(canvas, app) {
    this.canvas = canvas;
    this.app = app; // result, times, tracks, selected
    this.index = 0;
    this.playing = false;
    this.images = new Map(); // frame index -> promise of an image
    this.chunks = new Map(); // first frame -> promise of the people of its frames
    this.shown = null; // { index, image, people }
    this.wanted = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  forgetPeople() { this.chunks.clear(); }

  image(index) {
    let image = this.images.get(index);
    if (image) this.images.delete(index);
    else {
      const pixels = Math.ceil(this.canvas.clientWidth * devicePixelRatio / 160) * 160;
      const width = Math.min(Math.max(pixels, 640), this.app.result.width);
      image = api.blob(`/api/frame?index=${index}&width=${width}`).then(createImageBitmap);
      image.catch(() => this.images.delete(index));
    }
    this.images.set(index, image); // the newest is last
    while (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    return image;
  }

  async people(index) {
    const first = index - index % CHUNK;
    let chunk = this.chunks.get(first);
    if (!chunk) {
      chunk = api.get(`/api/boxes?first=${first}&count=${CHUNK}`);
      chunk.catch(() => this.chunks.delete(first));
      this.chunks.set(first, chunk);
      if (this.chunks.size > 40) this.chunks.delete(this.chunks.keys().next().value);
    }
    return (await chunk).frames[index - first] ?? [];
  }

  async show(index) {
    const last = this.app.times.length - 1;
    this.index = Math.min(Math.max(index, 0), last);
    const wanted = ++this.wanted;
    this.app.moved();
    try {
      const [image, people] = await Promise.all([this.image(this.index), this.people(this.index)]);
      if (wanted !== this.wanted) return;
      this.shown = { index: this.index, image, people };
      this.draw();
      this.app.shown();
    } catch (error) {
      if (wanted === this.wanted) { this.pause(); this.app.failed(error); }
    }
  }

  pause() { this.playing = false; this.app.playing(false); }

  async play() {
    const { times } = this.app;
    if (this.index >= times.length - 1) await this.show(0);
    this.playing = true;
    this.app.playing(true);
    let started = performance.now() - times[this.index] * 1000;
    while (this.playing && this.index < times.length - 1) {
      const now = (performance.now() - started) / 1000;
      const next = Math.max(this.app.indexAt(now), this.index + 1);
      const early = times[Math.min(next, times.length - 1)] - now;
      for (let step = 1; step <= AHEAD; step++) if (next + step < times.length) this.image(next + step).catch(() => 0);
      if (early > 0.002) await new Promise((done) => setTimeout(done, early * 1000));
      else await new Promise((done) => requestAnimationFrame(done));
      if (!this.playing) return;
      await this.show(next);
      if (-early > 1) started = performance.now() - times[this.index] * 1000; // slower than the video
    }
    if (this.playing) this.pause();
  }

  view() { // where the image is on the canvas
    const { width, height } = this.app.result;
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height);
    return { scale, left: (this.canvas.width - width * scale) / 2, top: (this.canvas.height - height * scale) / 2 };
  }

  personAt(event) { // the smallest box at a point
    const box = this.canvas.getBoundingClientRect(), { scale, left, top } = this.view();
    const x = ((event.clientX - box.left) * devicePixelRatio - left) / scale;
    const y = ((event.clientY - box.top) * devicePixelRatio - top) / scale;
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    const hit = (this.shown?.people ?? []).filter(([, , [x1, y1, x2, y2]]) => x >= x1 && x <= x2 && y >= y1 && y <= y2);
    return hit.sort((a, b) => area(a[2]) - area(b[2]))[0]?.[0] ?? null;
  }

  draw() {
    const { canvas, app } = this;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (!this.shown) return;
    const context = canvas.getContext("2d"), { scale, left, top } = this.view();
    context.imageSmoothingQuality = "high";
    context.drawImage(this.shown.image, left, top, app.result.width * scale, app.result.height * scale);
    context.save();
    context.beginPath();
    context.rect(left, top, app.result.width * scale, app.result.height * scale);
    context.clip();
    const nearest = [...this.shown.people].sort((a, b) => a[2][3] - b[2][3]);
    const others = nearest.filter(([id]) => !app.selected.includes(id));
    const chosen = nearest.filter(([id]) => app.selected.includes(id));
    for (const person of [...others, ...chosen]) this.drawPerson(context, person, { scale, left, top });
    context.restore();
    const labels = []; // the chosen and the nearest people get the best places
    for (const person of [...others, ...chosen].reverse()) this.drawLabel(context, person, { scale, left, top }, labels);
  }

  drawPerson(context, [id, , box, points], { scale, left, top }) {
    const chosen = this.app.selected.includes(id), some = this.app.selected.length > 0;
    const line = devicePixelRatio * (chosen ? 2.4 : 1.4);
    context.strokeStyle = this.app.colour(id);
    context.globalAlpha = chosen || !some ? 1 : 0.6;
    context.lineWidth = line;
    context.lineJoin = context.lineCap = "round";
    context.strokeRect(left + box[0] * scale, top + box[1] * scale, (box[2] - box[0]) * scale, (box[3] - box[1]) * scale);
    context.lineWidth = line * 1.2;
    context.beginPath();
    for (const [a, b] of this.app.result.edges) {
      if (points[2 * a] === null || points[2 * b] === null) continue;
      context.moveTo(left + points[2 * a] * scale, top + points[2 * a + 1] * scale);
      context.lineTo(left + points[2 * b] * scale, top + points[2 * b + 1] * scale);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  drawLabel(context, [id, , box], { scale, left, top }, labels) {
    const text = this.app.label(id), size = 12.5 * devicePixelRatio;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const width = context.measureText(text).width + size * 0.8, height = size * 1.45;
    const [x1, y1, x2, y2] = [left + box[0] * scale, top + box[1] * scale, left + box[2] * scale, top + box[3] * scale];
    const places = [[x1, y1 - height], [x2 - width, y1 - height], [x1, y1], [x2 - width, y1], [x1, y2 - height], [x1, y2]]
      .map(([a, b]) => [Math.min(Math.max(a, 0), this.canvas.width - width), Math.min(Math.max(b, 0), this.canvas.height - height)]);
    const isFree = ([a, b]) => labels.every(([c, d, w, h]) => a >= c + w || a + width <= c || b >= d + h || b + height <= d);
    const [x, y] = places.find(isFree) ?? places[0];
    labels.push([x, y, width, height]);
    context.fillStyle = this.app.colour(id);
    context.beginPath();
    context.roundRect(x, y, width, height, size * 0.3);
    context.fill();
    context.fillStyle = this.app.ink(id);
    context.textBaseline = "middle";
    context.fillText(text, x + size * 0.4, y + height / 2 + 1);
  }
}
