// The first page: lists jobs and follows one live. All texts come from callers, so they are set as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const LIST_EVERY_MS = 3000;
const TONE = {
  succeeded: "good", equal: "good", equal_under_assumptions: "good", passed: "good",
  failed: "bad", differs: "bad", refused: "bad", vacuous: "bad", source_error: "bad",
  running: "busy", waiting: "busy", cancelling: "busy",
};

let cursor = null; // of the next older page
let older = []; // pages that the reader asked for
let followed = null; // id of the job shown
let stream = null; // its EventSource

function element(tag, text, tone) {
  const node = document.createElement(tag);
  node.textContent = text === null || text === undefined ? "" : String(text);
  if (tone) node.className = tone;
  return node;
}

async function getJson(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok && response.status !== 503) throw new Error(body.detail || response.statusText);
  return body;
}

function jobRow(job) {
  const row = document.createElement("tr");
  const link = element("a", job.name || job.entry || job.id);
  link.href = "#" + job.id;
  link.title = job.id;
  const cell = document.createElement("td");
  cell.append(link);
  const verdict = job.result ? job.result.verdict : null;
  row.setAttribute("aria-current", String(job.id === followed));
  row.append(
    cell,
    element("td", job.state, TONE[job.state]),
    element("td", job.progress.step && `${job.progress.step} ${job.progress.done}/${job.progress.total}`),
    element("td", verdict, TONE[verdict]),
    element("td", new Date(job.created_at).toLocaleString()),
  );
  return row;
}

function showList(newest) {
  const known = new Set(newest.jobs.map((job) => job.id));
  const rows = [...newest.jobs, ...older.filter((job) => !known.has(job.id))];
  byId("jobs").replaceChildren(...rows.map(jobRow));
  byId("empty").hidden = rows.length > 0;
  if (older.length === 0) cursor = newest.next_cursor;
  byId("more").hidden = cursor === null;
}

async function refresh() {
  try {
    showList(await getJson("/v1/jobs"));
    const readiness = await getJson("/readyz");
    byId("ready").textContent = readiness.ready ? "ready" : "not ready: the sandbox is starting or does not work here";
    byId("ready").className = readiness.ready ? "good" : "busy";
  } catch (error) {
    byId("ready").textContent = `no answer: ${error.message}`;
    byId("ready").className = "bad";
  }
}

async function showOlder() {
  const page = await getJson(`/v1/jobs?cursor=${encodeURIComponent(cursor)}`);
  older.push(...page.jobs);
  cursor = page.next_cursor;
  await refresh();
}

function stageRow(stage) {
  const number = (value) => (typeof value === "number" ? value.toExponential(2) : "");
  const row = document.createElement("tr");
  row.append(
    element("td", stage.name),
    element("td", stage.status, TONE[stage.status]),
    element("td", number(stage.max_error)),
    element("td", number(stage.tolerance)),
  );
  return row;
}

function partRow(part) {
  const difference = part.first_difference || {};
  const why = part.holes.length ? `needs ${part.holes.join(", ")}` : difference.stage || part.why || "";
  const row = document.createElement("tr");
  row.append(
    element("td", `${part.class} (${part.file}:${part.line})`),
    element("td", part.verdict || "not run", TONE[part.verdict]),
    element("td", part.score === null ? "" : part.score),
    element("td", why),
  );
  return row;
}

function showResult(job) {
  const result = job.result || {};
  const stages = result.stages || [];
  byId("stages").hidden = stages.length === 0;
  byId("stage-rows").replaceChildren(...stages.map(stageRow));
  const parts = result.parts || [];
  byId("parts").hidden = parts.length < 2;
  byId("part-rows").replaceChildren(...parts.map(partRow));
  const refusals = (result.refusals || []).map((r) => element("li", `${r.file}:${r.line} ${r.code}: ${r.why || r.text || ""}`));
  byId("refusals").replaceChildren(...refusals);
}

// Only a job that compared arrays has a picture; it is loaded once.
function showPicture(job) {
  const place = byId("picture");
  const measured = ((job.result || {}).stages || []).some((stage) => typeof stage.max_error === "number");
  if (!measured) return place.replaceChildren();
  if (place.firstElementChild && place.firstElementChild.getAttribute("src") === job.links.picture) return;
  const picture = document.createElement("img");
  picture.alt = "Largest error of each stage against its tolerance, on a logarithmic scale";
  picture.src = job.links.picture;
  place.replaceChildren(picture);
}

function showLinks(job) {
  const names = job.finished_at ? ["report", "diff", "bundle", "logs", "attempts"] : ["attempts"];
  const links = names.map((name) => {
    const link = element("a", name);
    link.href = job.links[name];
    return link;
  });
  byId("job-links").replaceChildren(...links);
}

async function showJob(id) {
  const job = await getJson(`/v1/jobs/${id}`);
  if (id !== followed) return;
  const verdict = job.result ? `, ${job.result.verdict}${job.result.reason ? ` (${job.result.reason})` : ""}` : "";
  byId("job").hidden = false;
  byId("job-title").textContent = `${job.name || job.entry || "Job"} (${job.id})`;
  byId("job-summary").textContent = `${job.state}${verdict}${job.usage ? `, ${job.usage.seconds.toFixed(1)} s` : ""}`;
  byId("job-summary").className = TONE[job.state] || "";
  byId("job-progress").max = job.progress.total || 1;
  byId("job-progress").value = job.finished_at ? job.progress.total || 1 : job.progress.done;
  showResult(job);
  showPicture(job);
  showLinks(job);
}

function showEvent(event) {
  const time = event.at.slice(11, 23);
  const detail = Object.entries(event.data)
    .filter(([, value]) => value === null || typeof value !== "object")
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
  const item = element("li", `${time} ${event.type} ${detail}`);
  item.value = event.seq;
  byId("events").append(item);
  byId("events").scrollTop = byId("events").scrollHeight;
}

function follow(id) {
  if (stream) stream.close();
  followed = id;
  stream = null;
  byId("events").replaceChildren();
  byId("job").hidden = id === null;
  if (id === null) return;
  stream = new EventSource(`/v1/jobs/${id}/events`);
  const heard = (message) => {
    showEvent(JSON.parse(message.data));
    showJob(id).catch(() => {});
  };
  for (const type of EVENT_TYPES) stream.addEventListener(type, heard);
  showJob(id).catch((error) => {
    byId("job").hidden = false;
    byId("job-title").textContent = error.message;
  });
}

const EVENT_TYPES = [
  "job.queued", "job.started", "job.resumed", "step.started", "step.finished", "attempt.created", "attempt.checked",
  "artifact.stored", "job.cancelling", "job.succeeded", "job.failed", "job.cancelled",
];

function followHash() {
  const id = location.hash.slice(1);
  follow(/^job_[0-9A-Z]{26}$/.test(id) ? id : null);
  refresh();
}

byId("more").addEventListener("click", () => showOlder().catch(() => {}));
addEventListener("hashchange", followHash);
setInterval(refresh, LIST_EVERY_MS);
followHash();
