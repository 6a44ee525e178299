// What the pages gain from JavaScript: live parts, keys, the switch of schemes. Without it all of them work, too.
const main = document.querySelector("main");

// Live: a part comes anew from the server when what it shows has changed, and not before: a banner that is put in anew
// is read out anew, and loses the focus.
const asked = {};
const AGAIN_MS = [2000, 5000, 15000, 60000];
const SHAPES = {
  banners: (summary) => summary.banners.map((banner) => [banner.key, banner.text]),
  cards: (summary) => [summary.state, summary.stale, summary.resources.map((share) => [share.consumed, share.allocation, share.status])],
};
const shapesOf = (summary) => Object.fromEntries(Object.entries(SHAPES).map(([name, shape]) => [name, JSON.stringify(shape(summary))]));
// The page has what it was made from, for the first summary that comes may be newer. One of a version before has not.
const shown = main.dataset.summary ? shapesOf(JSON.parse(main.dataset.summary)) : {};

// Not between press and release: the browser sends no click to what is gone meanwhile.
let held = false;
const owed = new Set();
document.addEventListener("pointerdown", () => { held = true; });
for (const over of ["pointerup", "pointercancel"]) document.addEventListener(over, () => {
  held = false;
  setTimeout(() => { if (!held) { owed.forEach((name) => renew(name)); owed.clear(); } });
});

// What could not be fetched is asked for again: the summary may never change any more. Only the newest answer counts.
async function renew(name, tries = 0) {
  const place = document.querySelector(`[data-part="${name}"]`);
  if (!place) return;
  const number = asked[name] = (asked[name] ?? 0) + 1;
  const text = await fetchPart(name);
  if (number !== asked[name]) return;
  if (text === null) setTimeout(() => { if (number === asked[name]) renew(name, tries + 1); }, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]);
  else if (text === undefined) return;
  else if (held) owed.add(name);
  else place.innerHTML = text;
}

// null: nobody answered, or not now. undefined: it is not for whoever looks any more, and stays as it is.
async function fetchPart(name) {
  const address = new URL(`${main.dataset.path}/part`, location.href);
  address.search = location.search;
  address.searchParams.set("part", name);
  try {
    const reply = await fetch(address, { cache: "no-store" });
    if (reply.ok) return await reply.text();
    return reply.status === 429 || reply.status >= 500 ? null : undefined;
  } catch { return null; }
}

document.addEventListener("credit-summary", (event) => {
  for (const [name, now] of Object.entries(shapesOf(event.detail))) {
    if (shown[name] !== now) renew(name);
    shown[name] = now;
  }
});

// Keys: arrows between tabs, J and K through rows, Esc closes what is open, ? shows the keys.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
const tabs = [...document.querySelectorAll(".tabs a")];
document.querySelector(".tabs")?.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const place = tabs.indexOf(document.activeElement);
  let next = null;
  if (step && place >= 0) next = tabs[(place + step + tabs.length) % tabs.length];
  if (event.key === "Home") next = tabs[0];
  if (event.key === "End") next = tabs.at(-1);
  if (next) { event.preventDefault(); next.focus(); }
});

function stepRows(step) {
  const rows = [...document.querySelectorAll("a.row")];
  const place = rows.indexOf(document.activeElement);
  rows.at(place < 0 ? (step > 0 ? 0 : -1) : Math.min(rows.length - 1, Math.max(0, place + step)))?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea")) return;
  if (event.key === "j" || event.key === "k") stepRows(event.key === "j" ? 1 : -1);
  if (event.key === "?") {
    const keys = document.getElementById("keys");
    keys.open = !keys.open;
    if (keys.open) keys.querySelector("summary").focus();
  }
  if (event.key === "Escape") document.querySelector("[data-close]")?.click();
});

// A row that was opened gives the focus to its panel, and gets it back when the panel is closed.
const detail = document.getElementById("detail");
const opened = new URLSearchParams(location.search).get("open");
if (detail) {
  detail.focus();
  sessionStorage.setItem("credit-console-row", opened);
} else {
  const last = sessionStorage.getItem("credit-console-row");
  sessionStorage.removeItem("credit-console-row");
  if (last !== null) {
    [...document.querySelectorAll("a.row")].find((row) => new URL(row.href).searchParams.get("open") === last)?.focus();
  }
}

// Figures that move by themselves can be held: the page then stays as it is until it goes on.
const pause = document.querySelector("[data-live-switch]");
if (pause) {
  const watched = document.querySelector("credit-usage");
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.textContent = watched.toggleAttribute("live") ? "Pause" : "Go live";
  });
}

const theme = document.querySelector("[data-theme-switch]");
if (theme) {
  const dark = () => document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.hidden = false;
  name();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  theme.addEventListener("click", () => {
    const chosen = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try { localStorage.setItem("credit-console-theme", chosen); } catch { /* it counts for this page alone */ }
    name();
  });
}
