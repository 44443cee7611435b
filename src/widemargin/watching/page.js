// what is told at the top

function phase(state) {
  if (state.phase === "ended") return state.reason ? "failed" : "done";
  return state.now - state.heard > 20 && state.heard ? "silent" : state.phase;
}

function heading(state) {
  const how = phase(state), epochs = state.epochs ? ` of ${state.epochs}` : "";
  const epoch = how === "done" ? state.epoch : state.epoch + 1;
  document.body.dataset.phase = how;
  $("name").textContent = state.name || "A run";
  $("phase").textContent = how === "silent" ? `silent for ${spent(state.now - state.heard)}` : how;
  const since = state.begun === null ? "" : `${clock(state.now - state.begun)} since it began`;
  const ended = state.phase === "ended" ? `took ${clock(state.heard - state.begun)}` : since;
  const part = state.progress !== null && how !== "done" ? `, ${Math.floor(100 * state.progress)} % of it` : "";
  $("sentence").textContent = [state.policy, `epoch ${epoch}${epochs}${part}`, ended]
    .filter(Boolean).join(" · ");
  const total = state.epochs && state.progress !== null
    ? how === "done" ? 1 : (state.epoch + state.progress) / state.epochs : state.progress || 0;
  $("bar").style.width = `${100 * Math.min(1, total)}%`;
  $("bar").parentNode.setAttribute("aria-valuenow", Math.round(100 * total));
  document.title = `${how === "running" ? Math.floor(100 * total) + " %" : how} · ${state.name || "run"}`;
  banner(state.reason ? `The run failed: ${state.reason}` : state.trouble
    ? `No news: ${state.trouble}. What is shown is what was known before.` : "");
}

function banner(words) {
  $("trouble").hidden = !words;
  $("trouble").textContent = words;
}

function tiles(state) {
  const role = name => state.parties.filter(p => p.role === name);
  const there = name => role(name).filter(p => p.state !== "gone").length;
  const samples = state.rate.samples !== null;
  const values = [
    ["throughput", short(samples ? state.rate.samples : state.rate.blocks),
      `${samples ? "samples" : "blocks"} a second`],
    ["commits", whole(state.commits), `version ${whole(state.version)}`],
    ["workers", `${there("worker")} of ${role("worker").length}`, "alive"],
    ["shard members", `${there("shard")} of ${role("shard").length}`, "alive"],
    ["deaths", whole(state.deaths), `${whole(state.undone)} commits undone`],
    ["requeued", whole(state.void), "leases taken back"],
    ["dropped", whole(state.dropped), "gradients came too late"],
    ["snapshots", whole(state.snapshots), `staleness now ${state.late}`],
  ];
  const trained = known(state.series.train_loss).at(-1);
  if (trained !== undefined) values.splice(1, 0, ["training loss", String(+trained.toPrecision(4)), "lately"]);
  if (state.loss !== null) values.splice(1, 0, ["loss", String(+state.loss.toPrecision(4)), "last told"]);
  $("tiles").replaceChildren(...values.map(([name, value, note]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value, make("small", {}, note)))));
}

// who takes part

const STATES = [["alive", "full", "reigns"], ["waiting", "joining", "opening"], ["slow"], ["gone"], ["done"]];

function parties(state) {
  const seconds = Math.max(1, state.series.commits.length * state.series.width);
  const stop = state.series.start + seconds;
  $("parties").replaceChildren(...state.parties.map(party => {
    const svg = make("svg", {viewBox: "0 0 1000 14", preserveAspectRatio: "none", role: "img",
      "aria-label": `${party.name} over time: ${party.past.map(p => p[1]).join(", ")}`});
    party.past.forEach(([from, how], k) => {
      const at = t => Math.min(1000, Math.max(0, 1000 * (t - state.series.start) / seconds));
      const x = at(from), width = at(k + 1 < party.past.length ? party.past[k + 1][0] : stop) - x;
      const rect = make("rect", {"data-state": how, x, width: Math.max(width, 1.5), height: 14});
      rect.append(make("title", {}, `${clock(from - state.series.start)} ${how}`));
      svg.append(rect);
    });
    return make("div", {class: "party", "data-name": party.name, "data-state": party.state},
      make("span", {class: "who"}, party.name), make("span", {class: "state"}, party.state),
      make("div", {class: "track"}, svg),
      make("span", {class: "lives"}, party.lives > 1 ? `${party.lives} lives` : "1 life"),
      make("span", {class: "words", title: party.words}, party.words ? `last: ${party.words}` : ""));
  }));
  const seen = new Set(state.parties.flatMap(p => [p.state, ...p.past.map(each => each[1])]));
  $("states").replaceChildren(...STATES.map(alike => alike.filter(s => seen.has(s)))
    .filter(alike => alike.length)
    .map(alike => make("span", {}, make("i", {"data-state": alike[0]}), alike.join(", "))));
}

function tables(state) {
  const cells = row => [row.deaths, row.back, spent(row.median), spent(row.longest), spent(row.longest_pause)];
  $("recoveries").replaceChildren(...(state.recoveries.length ? state.recoveries.map(row =>
    make("tr", {}, make("th", {scope: "row"}, row.role), ...cells(row).map(v => make("td", {}, String(v)))))
    : [make("tr", {}, make("th", {scope: "row"}, "nobody died"), ...Array.from("–––––", c => make("td", {}, c)))]));
  const list = $("marks"), above = list.scrollTop;
  list.replaceChildren(...state.marks.filter(mark => mark.kind !== "snapshot").reverse().map(mark => make("li", {},
    make("time", {}, mark.time < state.begun ? "before" : clock(mark.time - state.begun)),
    make("span", {class: `sign ${mark.kind}`, "aria-hidden": "true"}, SIGNS[mark.kind] || "·"),
    make("span", {class: "said"}, make("b", {}, mark.name ? `${mark.name} ` : ""),
      `${mark.kind}${mark.words ? ": " + mark.words : ""}`))));
  list.scrollTop = above;
}

// the page follows its server

let shown = null;

function show(state) {
  shown = state;
  heading(state);
  tiles(state);
  if (state.begun === null) return;
  parties(state);
  charts(state);
  tables(state);
}

async function follow() {
  try {
    const answer = await fetch("state.json", {cache: "no-store", signal: AbortSignal.timeout(8000)});
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    const ended = shown && shown.phase === "ended";
    banner(ended ? "The run has ended and its page with it; this is how it was." :
      "The page's server does not answer; what is shown is what was known before.");
    if (!ended) document.body.dataset.phase = "silent";
  }
  setTimeout(follow, document.hidden || (shown && shown.phase === "ended") ? 2000 : 1000);
}

let resized = 0;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => shown && show(shown), 100);
});
follow();
