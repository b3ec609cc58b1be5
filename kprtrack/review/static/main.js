import * as api from "/api.js";
import { Player } from "/player.js";
import { Timeline } from "/timeline.js";

const $ = (id) => document.getElementById(id);
const NEEDS_OTHER = { merge: "Choose the person that it is.", swap: "Choose the other person." };
const KINDS = { overlap: "Overlap", margin: "Similar appearance", "re-entry": "Seen again", continuation: "May continue a track", jump: "Jump", link: "Uncertain person" };
const POLL_MS = 1000;
const TYPING_MS = 120; // after the last letter, until the preview is asked for

const app = {
  result: null, times: [], numbers: [], tracks: [], moments: [], edits: [], version: "", selected: [], byId: new Map(),
  moment: -1, current: null, colours: { accent: "#2f6f6a", risk: "#b4541a" },

  indexAt(time) { // of the last frame at or before a time
    let low = 0, high = app.times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (app.times[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  },
  time(seconds, digits = 2) {
    const sign = seconds < 0 ? "-" : "", total = Math.abs(seconds) + (digits ? 1e-9 : 0.5), hours = Math.floor(total / 3600);
    const minutes = Math.floor(total / 60) % 60, rest = Math.floor((total % 60) * 10 ** digits) / 10 ** digits;
    const two = rest.toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return sign + (hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes) + ":" + two;
  },
  label: (id) => app.byId.get(id)?.name || String(id),
  colour: (id) => app.byId.get(id)?.colour ?? "#999999",
  ink(id) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(app.colour(id).slice(at, at + 2), 16));
    return 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? "#101010" : "#ffffff";
  },
  moved() {
    const { index } = app.player;
    $("seek").value = index;
    $("seek").setAttribute("aria-valuetext", app.time(app.times[index]));
    $("clock").value = `${app.time(app.times[index])} · frame ${app.numbers[index]}`;
    app.timeline.follow(index);
  },
  shown() {
    $("stage").dataset.frame = app.numbers[app.player.shown.index];
    if (!$("alert").dataset.poll) alertText("");
  },
  playing(is) {
    $("play").textContent = is ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", is ? "Pause" : "Play");
  },
  failed(error) { alertText(error.message); },
  choose(id) {
    if (id === null) { app.selected = []; return selectionChanged(); }
    const other = waiting();
    if (other) {
      if (id === other.id) return undefined;
      app.selected = [other.id, id];
      $("text").value = other.kind === "merge" ? `${other.id} = ${id}` : `swap ${other.id} ${id} at frame ${here()}`;
      $("text").focus();
      preview();
    } else app.selected = [id];
    return selectionChanged();
  },
};
app.player = new Player($("stage"), app);
app.timeline = new Timeline($("timeline"), app);
const here = () => app.numbers[app.player.index];

function element(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function alertText(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

// The command: merge and swap wait for a second person.
function waiting() {
  if ($("command").hidden) return null;
  const merge = /^\s*(\d+)\s*=\s*(\d*)\s*$/.exec($("text").value);
  if (merge) return { kind: "merge", id: Number(merge[1]) };
  const swap = /^\s*swap\s+(\d+)\b/.exec($("text").value);
  return swap ? { kind: "swap", id: Number(swap[1]) } : null;
}

function begin(action) {
  const [id] = app.selected;
  if (id === undefined) {
    $("saved").textContent = "Choose a person first: click on one, or press ]";
    return;
  }
  const texts = { merge: `${id} = `, swap: `swap ${id} `, split: `split ${id} at frame ${here()}`, delete: `delete ${id}`, name: `name ${id} ` };
  open(texts[action]);
}

function open(text) {
  app.player.pause();
  $("command").hidden = false;
  $("text").value = text;
  $("text").focus();
  $("text").setSelectionRange(text.length, text.length);
  preview();
}

function close() {
  $("command").hidden = true;
  $("stage").focus({ preventScroll: true });
}

let previewed = 0;
async function preview() {
  const text = $("text").value.trim(), mine = ++previewed;
  const show = (line, wrong = false) => {
    if (mine !== previewed) return;
    $("preview").textContent = line;
    $("preview").classList.toggle("wrong", wrong);
  };
  if (/^\d+\s*=$/.test(text)) return show(NEEDS_OTHER.merge);
  if (/^swap\s+\d+$/.test(text)) return show(NEEDS_OTHER.swap);
  if (/^name\s+\d+$/.test(text)) return show("Write the name.");
  if (!text) return show("Such as: 7 = 3 from 0:41, swap 2 5 at 1:02, split 4 at 0:30, delete 9, name 3 Anna, undo 2");
  try {
    const { details } = await api.post("/api/preview", { text, version: app.version });
    return show(details.charAt(0).toUpperCase() + details.slice(1) + ".");
  } catch (error) {
    if (error.status === 409) await refresh();
    return show(error.message, true);
  }
}

let busy = false;
async function apply(text) {
  if (busy) return;
  busy = true;
  $("apply").disabled = $("undo").disabled = true;
  try {
    const summary = await api.post("/api/edits", { text, version: app.version });
    alertText("");
    close();
    take(summary);
    $("saved").textContent = `Saved: ${summary.details}`;
    refreshRest().catch(app.failed);
  } catch (error) {
    if (error.status === 409) await refresh();
    if ($("command").hidden || !error.status) alertText(error.message);
    $("preview").textContent = error.message;
    $("preview").classList.add("wrong");
  } finally {
    busy = false;
    $("apply").disabled = false;
    undoChanged();
  }
}

// What the server has
function take(summary) {
  app.version = summary.version;
  app.tracks = summary.tracks;
  app.edits = summary.edits;
  app.byId = new Map(app.tracks.map((track) => [track.id, track]));
  app.selected = app.selected.filter((id) => app.byId.has(id));
  app.player.forgetPeople();
  document.body.dataset.version = app.version;
  listPeople();
  listEdits();
  undoChanged();
  app.timeline.changed();
  selectionChanged();
  app.player.show(app.player.index);
}

async function refreshRest() {
  const { moments } = await api.get("/api/moments");
  const indexOf = new Map(app.numbers.map((number, index) => [number, index]));
  app.moments = moments.map((moment) => ({ ...moment, index: indexOf.get(moment.frame) ?? 0 }));
  const same = (one) => app.current && one.kind === app.current.kind && one.frame === app.current.frame && String(one.track_ids) === String(app.current.track_ids);
  const found = app.moments.findIndex(same);
  app.moment = found >= 0 ? found : Math.min(app.moment, app.moments.length) - (app.current ? 1 : 0); // N shows what took its place
  app.current = app.moments[found] ?? null;
  listMoments();
  app.timeline.draw();
}

async function refresh() {
  take(await api.get("/api/summary"));
  await refreshRest();
}

async function poll() {
  try {
    if (!document.hidden && !busy) {
      const { version } = await api.get("/api/version");
      if (!busy && version !== app.version) {
        await refresh();
        $("saved").textContent = "Edits of another window are shown";
        if (!$("command").hidden) preview();
      }
      if ($("alert").dataset.poll) { alertText(""); delete $("alert").dataset.poll; }
    }
  } catch (error) {
    alertText(error.message);
    $("alert").dataset.poll = "yes";
  }
  setTimeout(poll, POLL_MS);
}

// Lists
function undoChanged() { $("undo").disabled = busy || !app.edits.some((edit) => edit.status !== "undone"); }

function selectionChanged() {
  const [id] = app.selected, label = app.selected.map((each) => app.label(each)).join(" and ");
  $("chosen").replaceChildren(...(id === undefined ? ["Choose a person"] : [dot(id), `Person ${label}`]));
  for (const button of document.querySelectorAll("[data-action]")) button.disabled = id === undefined;
  for (const row of $("people").querySelectorAll(".row")) row.setAttribute("aria-current", app.selected.includes(Number(row.dataset.id)));
  if (id !== undefined) app.timeline.reveal(id);
  app.timeline.draw();
  app.player.draw();
}

function dot(id) {
  const made = element("span", { className: "dot" });
  made.style.background = app.colour(id);
  return made;
}

function fill(list, items, empty) {
  const top = list.scrollTop;
  list.replaceChildren(...(items.length ? items : [element("li", { className: "empty", text: empty })]));
  list.scrollTop = top;
}

function listMoments() {
  fill($("moments"), app.moments.map((moment, index) => {
    const risk = element("span", { className: "risk", "aria-hidden": "true" });
    risk.style.opacity = 0.15 + 0.85 * moment.risk;
    const row = element("button", { className: "row", type: "button", "aria-current": moment === app.current },
      risk,
      element("time", { text: moment.time_s === null ? `frame ${moment.frame}` : app.time(moment.time_s) }),
      element("span", { className: "what", text: KINDS[moment.kind] }, element("small", { text: moment.details })));
    row.addEventListener("click", () => goTo(index));
    return element("li", {}, row);
  }), "No risky moments were found.");
}

function goTo(index) {
  const moment = app.moments[index];
  if (!moment) return;
  app.moment = index;
  app.current = moment;
  app.player.pause();
  app.selected = moment.track_ids.filter((id) => app.byId.has(id));
  [...$("moments").querySelectorAll(".row")].forEach((row, at) => row.setAttribute("aria-current", at === index));
  $("moments").children[index].scrollIntoView({ block: "nearest", container: "nearest" });
  selectionChanged();
  app.player.show(moment.index);
  $("saved").textContent = moment.edit ? `${moment.details}. F proposes: ${moment.edit}` : moment.details;
}

const thumbnails = new Map(); // key -> address of an image
const queue = [];
let loading = 0;
async function load() {
  if (loading >= 2 || !queue.length) return;
  loading += 1;
  const { image, id, key } = queue.pop(); // the one that came into view last
  try {
    if (image.isConnected) {
      if (!thumbnails.has(key)) thumbnails.set(key, URL.createObjectURL(await api.blob(`/api/thumbnail?track=${id}`)));
      image.src = thumbnails.get(key);
    }
  } catch { /* the list is being replaced, or the server has ended, which is reported elsewhere */ }
  loading -= 1;
  load();
}
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    queue.push({ image: target, id: Number(target.dataset.id), key: target.dataset.key });
    load();
    load();
  }
});

function listPeople() {
  seen.disconnect();
  queue.length = 0;
  fill($("people"), app.tracks.map((track) => {
    const image = element("img", { alt: "", width: 40, height: 56, "data-id": track.id, "data-key": `${track.id} ${track.boxes} ${track.spans[0]}` });
    const first = track.spans[0], last = track.spans.at(-1);
    const row = element("button", { className: "row", type: "button", "data-id": track.id },
      image, dot(track.id),
      element("span", { className: "what", text: track.name ? `${track.name} (${track.id})` : `Person ${track.id}` },
        element("small", { text: `${app.time(app.times[first])} to ${app.time(app.times[last])}, ${track.boxes} boxes` })));
    row.addEventListener("click", () => {
      app.choose(track.id);
      const { index } = app.player;
      if (!track.spans.some((start, at) => at % 2 === 0 && start <= index && index <= track.spans[at + 1]) && !waiting()) app.player.show(first);
    });
    const known = thumbnails.get(image.dataset.key);
    if (known) image.src = known; else seen.observe(image);
    return element("li", {}, row);
  }), "The result has no people.");
}

function listEdits() {
  fill($("edits"), app.edits.map((edit) => {
    const row = element("div", { className: `row ${edit.status === "undone" ? "undone" : edit.status === "does not apply" ? "missed" : ""}` },
      element("span", { className: "number", text: edit.number }),
      element("span", { className: "what" }, element("b", { text: edit.text }), element("small", { text: edit.details ? `${edit.status}: ${edit.details}` : edit.status })));
    if (edit.status !== "undone") {
      const button = element("button", { type: "button", text: "Undo", "aria-label": `Undo edit ${edit.number}: ${edit.text}` });
      button.addEventListener("click", () => apply(`undo ${edit.number}`));
      row.append(button);
    }
    return element("li", {}, row);
  }).reverse(), "No edits yet.");
}

// Keys and buttons
function nextPerson(step) {
  const ids = (app.player.shown?.people ?? []).map(([id]) => id).sort((a, b) => a - b);
  if (!ids.length) return;
  const at = ids.indexOf(app.selected.at(-1));
  app.choose(ids[at < 0 ? (step > 0 ? 0 : ids.length - 1) : (at + step + ids.length) % ids.length]);
}

const step = (frames) => { app.player.pause(); app.player.show(app.player.index + frames); };
const stepTime = (seconds) => { app.player.pause(); app.player.show(app.indexAt(app.times[app.player.index] + seconds + 1e-6)); };
const toggle = () => (app.player.playing ? app.player.pause() : app.player.play());
const KEYS = {
  " ": toggle, ArrowLeft: (e) => (e.shiftKey ? stepTime(-1) : step(-1)), ArrowRight: (e) => (e.shiftKey ? stepTime(1) : step(1)),
  Home: () => step(-1e9), End: () => step(1e9),
  n: () => goTo(app.moment + 1), p: () => goTo(Math.max(app.moment - 1, 0)),
  f: () => app.current?.edit && open(app.current.edit),
  "[": () => nextPerson(-1), "]": () => nextPerson(1),
  m: () => begin("merge"), w: () => begin("swap"), s: () => begin("split"), d: () => begin("delete"), r: () => begin("name"),
  u: () => { if (!$("undo").disabled) apply("undo"); }, "/": () => open(""),
  "+": () => app.timeline.zoom(0.6), "=": () => app.timeline.zoom(0.6), "-": () => app.timeline.zoom(1 / 0.6),
  "?": () => $("keys").showModal(), Escape: () => { if ($("command").hidden) app.choose(null); else close(); },
};
addEventListener("keydown", (event) => {
  if (!app.result || event.ctrlKey || event.altKey || event.metaKey || $("keys").open) return;
  const typing = event.target === $("text"), control = event.target.closest("button, input, [role=tab]");
  if (typing && event.key !== "Escape") return;
  if (control && !typing && ["Enter", " "].includes(event.key)) return; // presses it
  if ((control?.type === "range" || control?.role === "tab") && /^(Arrow|Home|End)/.test(event.key)) return;
  const key = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!key || (event.repeat && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  key(event);
});
$("play").addEventListener("click", toggle);
$("back").addEventListener("click", () => step(-1));
$("forward").addEventListener("click", () => step(1));
$("next").addEventListener("click", () => KEYS.n());
$("previous").addEventListener("click", () => KEYS.p());
$("undo").addEventListener("click", () => apply("undo"));
$("help").addEventListener("click", () => $("keys").showModal());
$("seek").addEventListener("input", () => { app.player.pause(); app.player.show(Number($("seek").value)); });
$("stage").addEventListener("click", (event) => app.choose(app.player.personAt(event)));
for (const button of document.querySelectorAll("[data-action]")) button.addEventListener("click", () => begin(button.dataset.action));
let typed = 0;
$("text").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(preview, TYPING_MS);
});
$("cancel").addEventListener("click", close);
$("command").addEventListener("submit", (event) => { event.preventDefault(); apply($("text").value); });

const tabs = [...$("tabs").children];
function selectTab(tab) {
  for (const each of tabs) {
    each.setAttribute("aria-selected", each === tab);
    each.tabIndex = each === tab ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = each !== tab;
  }
}
for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => selectTab(tab));
  tab.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const other = tabs[(at + by + tabs.length) % tabs.length];
    selectTab(other);
    other.focus();
  });
}

function readColours() {
  const probe = element("span");
  document.body.append(probe);
  for (const name of ["accent", "risk"]) { probe.style.color = `var(--${name})`; app.colours[name] = getComputedStyle(probe).color; }
  probe.remove();
  app.timeline.draw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

async function start() {
  try {
    app.result = await api.get("/api/result");
    const both = new Float64Array(await api.bytes("/api/clock")), count = both.length / 2;
    app.times = [...both.subarray(0, count)];
    app.numbers = [...both.subarray(count)];
    document.title = `${app.result.name} – review`;
    $("title").textContent = app.result.name;
    $("saved").textContent = `Edits are kept in ${app.result.edits}`;
    $("seek").max = count - 1;
    $("stage").style.setProperty("--aspect", `${app.result.width} / ${app.result.height}`);
    readColours();
    app.timeline.reset();
    await refresh();
    document.body.dataset.ready = "yes";
    setTimeout(poll, POLL_MS);
  } catch (error) { alertText(error.message); }
}
start();
