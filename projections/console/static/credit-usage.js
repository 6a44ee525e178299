// <credit-usage account="acct-1"> shows what an account has left: an icon, a panel, and with `banners` its banners.
//
// Attributes: account; base (address of the console, by default where this file is from); live (kept up to date);
// banners. Property: token, or getToken() that answers one; without, the cookie of the console counts.
// It follows the page's font and color-scheme. Variables: --credit-accent, --credit-text, --credit-quiet, --credit-card,
// --credit-line, --credit-track, --credit-good, --credit-moderate, --credit-moderate-text, --credit-low. Event:
// "credit-summary", with the summary as detail.
const HOME = new URL("..", import.meta.url);
const RETRY_MS = [1000, 2000, 5000, 15000];
const CLOSED = "credit-usage-closed";
const NAMES = ["Model credits", "Tool runs"];
// A stream says every 5 s that its figures are still those of now.
const SILENT_MS = 15000;
const RUNWAY_MS = 600000; // how long credits last is asked for anew
const EDGE = 8; // pixels between the panel and the edge of the screen
// As the server shows amounts beside it: cut off, in English. Floats are a hair beside the decimals.
const amount = (value) => {
  const cents = Math.trunc(Math.round(value * 1e6) / 1e4);
  return cents ? (cents / 100).toLocaleString("en", { maximumFractionDigits: 2 }) : "<0.01";
};
const numberOf = (text) => Number(text.split(" ", 1)[0].replaceAll(",", "")); // 1254.01 of "1,254.01 model credits added"
// Of the newest entries those that make `added` together; none where no number of them does.
const addUp = (entries, added) => {
  let sum = 0;
  const end = entries.findIndex((one) => Math.abs((sum += numberOf(one.title)) - added) < 0.005);
  return entries.slice(0, end + 1);
};
const WHY = { 401: "The sign-in has ended: sign in again.", 403: "This account is not yours to see." };

const CSS = `
:host { display: inline-block; position: relative; font-variant-numeric: tabular-nums;
  --text: var(--credit-text, CanvasText); --card: var(--credit-card, Canvas);
  --quiet: var(--credit-quiet, light-dark(#566173, #a5b0c0)); --line: var(--credit-line, light-dark(#dfe3e9, #2c3541));
  --track: var(--credit-track, light-dark(#dde1e7, #2b3440)); --accent: var(--credit-accent, light-dark(#2450b8, #8fb0ff));
  --good: var(--credit-good, light-dark(#1d7a4c, #67cf98)); --low: var(--credit-low, light-dark(#b3261e, #ff8d84));
  --moderate: var(--credit-moderate, light-dark(#c97700, #efb35a)); --moderate-text: var(--credit-moderate-text, light-dark(#97590a, #efb35a)); }
:host([banners]) { display: block; }
:host([banners]) .open { margin-inline-start: auto; }
* { box-sizing: border-box; }
p, h2 { margin: 0; }
button { font: inherit; color: inherit; cursor: pointer; }
.open { background: none; border: 0; border-radius: 8px; padding: 8px; min-width: 40px; min-height: 40px; display: block; }
.open:hover { background: color-mix(in srgb, currentColor 8%, transparent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
svg { display: block; fill: none; stroke-linecap: round; stroke-linejoin: round; }
.good { color: var(--good); }
.moderate { color: var(--moderate); }
.moderate .state { color: var(--moderate-text); }
.low, .exhausted { color: var(--low); }
.stale, .loading { color: var(--quiet); }
.track { stroke: var(--track); stroke-width: 3; }
.ring { stroke: currentColor; stroke-width: 3; stroke-linecap: butt; }
.sign { stroke: currentColor; stroke-width: 2; }
.fill { fill: currentColor; }
.triangle { fill: currentColor; stroke: currentColor; stroke-width: 1.6; }
.on { stroke: var(--card); stroke-width: 2; }
.panel { position: absolute; right: 0; top: calc(100% + 6px); z-index: 20; width: min(360px, calc(100vw - 24px));
  background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; padding: 18px 20px; color: var(--text); box-shadow: 0 12px 32px rgb(0 0 0 / .16); font-size: .9375rem; line-height: 1.5; text-align: start; }
.panel[hidden] { display: none; }
.row { display: flex; align-items: center; justify-content: space-between; gap: 12px; }
.quiet { color: var(--quiet); font-size: .9em; }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.small { background: none; border: 1px solid var(--line); border-radius: 8px; padding: 4px 10px; min-height: 32px; flex: none; white-space: nowrap; }
section { border-top: 1px solid var(--line); margin-top: 12px; padding-top: 12px; display: grid;
  grid-template-columns: 44px 1fr; gap: 2px 14px; align-items: center; }
section > * { grid-column: 2; }
section > .pie { grid-column: 1; grid-row: 1 / span 2; align-self: start; margin-top: 2px; }
section > :is(h2, p:not(.state)) { color: var(--text); }
section > p.quiet { color: var(--quiet); }
.pie .track, .pie .ring { stroke-width: 20; }
h2 { font-size: 1em; font-weight: 600; }
section > .bar { grid-column: 1 / -1; grid-row: auto; } .bar { width: 100%; height: 8px; border-radius: 4px; overflow: hidden; margin-top: 8px; }
.bar .back { fill: var(--track); }
.bar .ghost { fill: currentColor; opacity: .3; }
strong { font-weight: 650; }
.state { font-weight: 600; grid-column: 1 / -1; margin-top: 4px; }
.panel > .as-of { margin-top: 12px; }
.wide { grid-column: 1 / -1; }
.links { display: flex; gap: 16px; margin-top: 14px; }
a { color: var(--accent); text-underline-offset: 3px; }
.banner { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 10px 16px; margin-bottom: 8px; border-radius: 10px;
  border: 1px solid currentColor; background: var(--card); }
.banner p { flex: 1 1 16em; min-width: 0; overflow-wrap: anywhere; color: var(--text); }
.banner :is(button, a) { flex: none; }
.banner button { color: var(--text); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (forced-colors: active) { .ring, .fill, .triangle { forced-color-adjust: none; } }
@media (prefers-reduced-motion: no-preference) { .ring { transition: stroke-dasharray .4s ease; } .bar rect { transition: width .4s ease; } }
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);

function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key in made && key !== "role") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The shapes differ as the colours do: hands, hands with a dot, "!", a triangle.
function clock(left, status) {
  const box = (...parts) => svg("svg", { viewBox: "0 0 24 24", width: 24, height: 24, "aria-hidden": "true" }, ...parts);
  if (status === "exhausted") {
    return box(svg("path", { class: "triangle", d: "M12 2.5 22.5 21h-21z" }), svg("path", { class: "on", d: "M12 9v6m0 2.2v.6" }));
  }
  const whole = 2 * Math.PI * 9;
  const inside = {
    good: [svg("path", { class: "sign", d: "M12 7.5V12l3 2" })],
    moderate: [svg("path", { class: "sign", d: "M12 7.5V12l3 2" }), svg("circle", { class: "fill", cx: 12, cy: 12, r: 1.9 })],
    low: [svg("path", { class: "sign", d: "M12 7v6m0 2.6v.6" })],
  }[status] ?? [svg("path", { class: "sign", d: "M8 12h8" })];
  return box(
    svg("circle", { class: "track", cx: 12, cy: 12, r: 9 }),
    svg("circle", { class: "ring", cx: 12, cy: 12, r: 9, "stroke-dasharray": `${(whole * left) / 100} ${whole}`, transform: "rotate(-90 12 12)" }),
    ...inside,
  );
}

function pie(used) {
  const whole = 2 * Math.PI * 8;
  return svg("svg", { class: "pie", viewBox: "0 0 44 44", width: 40, height: 40, "aria-hidden": "true" },
    svg("circle", { class: "track", cx: 22, cy: 22, r: 10 }),
    svg("circle", { class: "ring", cx: 22, cy: 22, r: 10, pathLength: whole, "stroke-dasharray": `${(whole * used) / 100} ${whole}`, transform: "rotate(-90 22 22)" }));
}

// How much of the bar will be used by the end of the account's day, at the pace of the last 24 hours.
const ghostOf = (share, used) => Math.max(used, Number(share.runway?.used_by_midnight ?? 0));

function bar(used, ghost) {
  return svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "back", width: 100, height: 8 }),
    svg("rect", { class: "ghost", width: ghost, height: 8 }),
    svg("rect", { class: "fill", width: used, height: 8 }));
}

const WORDS = { good: "", moderate: "moderate", low: "low", exhausted: "" };

function ago(text) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(text)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

class CreditUsage extends HTMLElement {
  static observedAttributes = ["account", "base", "live"];
  #root = this.attachShadow({ mode: "open" });
  #summary = null;
  #failed = false;
  #why = "";
  #heard = 0;
  #banners = "";
  #over = null;
  #stream = null;
  #tries = 0;
  #told = "";
  #grants = new Map();
  #token = null;
  #getToken = null;
  #loaded = 0;
  #spoke = false; // whether the stream that is open has said any figures
  #count = 0; // of requests and of what the stream said: the order of both
  #newest = 0; // that of the figures that are shown

  // What a page has set before this file was loaded counts, and so does what it sets later.
  constructor() {
    super();
    for (const name of ["token", "getToken"]) {
      if (!Object.hasOwn(this, name)) continue;
      const given = this[name];
      delete this[name];
      this[name] = given;
    }
  }

  get token() { return this.#token; }
  set token(given) { this.#token = given; if (this.#over && this.isConnected) this.#begin(); }
  get getToken() { return this.#getToken; }
  set getToken(given) { this.#getToken = given; if (this.#over && this.isConnected) this.#begin(); }

  connectedCallback() {
    this.#root.adoptedStyleSheets = [sheet];
    this.#build();
    this.#begin();
    this.#clock = setInterval(() => this.#tick(), 1000);
    document.addEventListener("pointerdown", this.#outside);
    this.#root.addEventListener("pointerdown", this.#press);
    for (const over of ["pointerup", "pointercancel"]) document.addEventListener(over, this.#release);
  }
  #clock = 0;

  disconnectedCallback() {
    this.#over?.abort();
    clearInterval(this.#clock);
    document.removeEventListener("pointerdown", this.#outside);
    for (const over of ["pointerup", "pointercancel"]) document.removeEventListener(over, this.#release);
  }

  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name !== "live") {
      this.#summary = null;
      this.#grants.clear();
    }
    if (this.isConnected && this.#over) this.#begin();
  }

  get summary() { return this.#summary; }

  refresh() { return this.#load(); }

  #build() {
    this.button = el("button", { className: "open", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false" });
    this.button.addEventListener("click", () => this.toggle());
    this.panel = el("div", { className: "panel", role: "dialog", "aria-label": "Credit usage", hidden: true, tabIndex: -1 });
    this.status = el("span", { className: "hidden", role: "status", "aria-live": "polite" });
    this.list = el("div", {});
    this.#banners = "";
    this.#root.replaceChildren(this.list, this.button, this.panel, this.status);
    this.#root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.panel.hidden) { event.stopPropagation(); this.toggle(false); this.button.focus(); }
    });
    this.#draw();
  }

  #outside = (event) => { if (!this.panel.hidden && !event.composedPath().includes(this)) this.toggle(false); };

  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) { this.#draw(); this.#place(); this.panel.focus(); }
  }

  // It hangs from the icon's right edge, and is moved where it would leave the screen.
  #place() {
    this.panel.style.translate = "none";
    const left = this.panel.getBoundingClientRect().left;
    if (left < EDGE) this.panel.style.translate = `${EDGE - left}px`;
  }

  #address(name) {
    const base = new URL(this.getAttribute("base") ?? HOME, document.baseURI);
    return new URL(`v1/accounts/${encodeURIComponent(this.getAttribute("account") ?? "")}/${name}`, base);
  }

  async #ask(name, signal) {
    const token = this.token ?? await this.#fetchToken(signal);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return fetch(this.#address(name), { headers, signal, credentials: token ? "omit" : "same-origin", cache: "no-store" });
  }

  // A page that never gives one holds nothing up for good.
  async #fetchToken(signal) {
    if (!this.getToken) return null;
    const given = new AbortController();
    const over = new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason), { signal: given.signal }));
    try { return await Promise.race([this.getToken(), over]); } finally { given.abort(); }
  }

  #begin() {
    this.#over?.abort();
    this.#over = new AbortController();
    this.#heard = 0;
    this.#spoke = false;
    this.#load();
    if (this.hasAttribute("live")) this.#follow(this.#over.signal);
  }

  async #load(quiet = false) {
    this.#loaded = Date.now();
    const asked = ++this.#count;
    try {
      const reply = await this.#ask("summary", this.#over?.signal);
      if (!reply.ok) throw new Error(String(reply.status));
      const summary = await reply.json();
      const isOld = this.#summary && (this.#spoke || asked < this.#newest);
      if (!isOld) this.#newest = asked;
      this.#take(isOld ? this.#addTo(this.#summary, summary) : summary);
    } catch (error) { if (!quiet) this.#fail(error); }
  }

  // What came later is newer than an answer that was long under way: it gives no more than what the stream does not say.
  #addTo(newer, { links, may_buy, actions, resources }) {
    const shares = newer.resources.map((share) => {
      const told = resources.find((one) => one.resource === share.resource && one.epoch === share.epoch);
      return told ? { ...share, runway: Number(share.remaining) > 0 ? told.runway : null } : share;
    });
    return { ...newer, links, may_buy, actions, resources: shares };
  }

  #fail(error) {
    if (error.name === "AbortError") return;
    this.#failed = true;
    this.#why = WHY[error.message] ?? "";
    this.#draw();
  }

  // Server-sent events over fetch, for EventSource can send no token.
  async #follow(signal) {
    while (!signal.aborted) {
      const stream = this.#stream = new AbortController();
      signal.addEventListener("abort", () => stream.abort(), { signal: stream.signal });
      try {
        this.#heard = Date.now(); // a request that nobody answers is silent, too
        const reply = await this.#ask("live", stream.signal);
        if (!reply.ok) throw new Error(String(reply.status));
        this.#tries = 0;
        this.#heard = Date.now();
        await this.#read(reply.body.pipeThrough(new TextDecoderStream()).getReader());
      } catch (error) {
        if (signal.aborted) return;
        // Where there is no room for one more stream, figures are asked for one by one.
        if (error.message === "503") this.#load();
        else this.#fail(error);
      }
      stream.abort(); // its listener goes with it
      this.#heard = 0;
      this.#spoke = false;
      await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)]));
    }
  }

  async #read(reader) {
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value.replaceAll("\r\n", "\n");
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
        if (!data) continue;
        this.#heard = Date.now();
        this.#spoke = true;
        this.#newest = ++this.#count;
        this.#take(JSON.parse(data));
      }
    }
  }

  #take(summary) {
    const before = this.#summary;
    for (const share of summary.resources) {
      const old = before?.resources.find((one) => one.resource === share.resource);
      // The stream does not say how long they last: what was said before holds until something is added, or all is used.
      if (share.runway === undefined) share.runway = old?.epoch === share.epoch && Number(share.remaining) > 0 ? old.runway : null;
      if (old && share.epoch !== old.epoch) this.#loaded = 0;
      const added = old && share.epoch > old.epoch ? Number(share.remaining) - Number(old.remaining) : 0;
      if (added > 0) {
        const grant = { until: Date.now() + 60000, text: `${amount(added)} added` };
        this.#grants.set(share.resource, [...this.#granted(share.resource), grant]);
        this.#explain(grant, share.resource, amount(added), before.as_of);
      }
    }
    this.#summary = { ...before, ...summary };
    this.#failed = false;
    this.#draw();
    this.dispatchEvent(new CustomEvent("credit-summary", { detail: this.#summary, bubbles: true, composed: true }));
  }

  #granted(resource) { return (this.#grants.get(resource) ?? []).filter((grant) => grant.until > Date.now()); }

  // Why and by whom was added, as the history says it. The amount alone where it does not say it for certain: usage may
  // have been reversed.
  async #explain(grant, resource, added, before) {
    try {
      const reply = await this.#ask("history", this.#over?.signal);
      const { history } = await reply.json();
      const end = new RegExp(` ${resource.replace("_", " ").replace(/s$/, "")}s? added$`); // one has no s
      const recent = history.filter((one) => one.kind === "event" && end.test(one.title) && Date.parse(one.at) >= Date.parse(before) - 5000); // another clock, and planned before it is stored
      const said = (one) => [one.at, one.title, one.detail].join();
      const named = this.#granted(resource).flatMap((other) => (other === grant ? [] : other.named ?? []));
      const left = recent.filter((one) => !named.includes(said(one)));
      // One from just before what was shown may be among them, as the free grant of an account opened seconds ago: the amount tells.
      // What was used meanwhile makes the difference smaller than a grant.
      const entry = left.find((one) => one.title.startsWith(`${added} `)) ?? (left.length === 1 && numberOf(left[0].title) >= numberOf(added) ? left[0] : null);
      const entries = entry ? [entry] : addUp(left, numberOf(added)); // one look may bring several
      if (!entries.length) return;
      grant.named = entries.map(said);
      grant.text = entries.map((one) => [one.title, one.detail].filter(Boolean).join(": ")).join("; ");
      this.#draw();
    } catch { /* said above */ }
  }

  #tick() {
    // Comments keep the connection, and come from a server that has no figures, too.
    if (this.#heard && Date.now() - this.#heard > SILENT_MS) {
      this.#heard = 0;
      this.#fail(new Error("silent"));
      this.#stream.abort(); // and asked for anew: its connection may be dead
    }
    if (this.#heard && !this.#failed && Date.now() - this.#loaded > RUNWAY_MS) this.#load(true);
    const shown = this.#root.querySelector(".as-of");
    if (shown && this.#summary?.as_of) shown.textContent = this.#asOf();
  }

  #asOf() { return `As of ${ago(this.#summary.as_of)} ago${this.#summary.stale ? ", catching up" : ""}`; }

  // What is redrawn between press and release swallows the click: the browser sends none for what is gone.
  #press = () => { this.#held = true; };
  #release = () => {
    if (!this.#held) return;
    this.#held = false;
    setTimeout(() => { if (this.#owed && !this.#held) this.#draw(); });
  };
  #held = false;
  #owed = false;

  #draw() {
    if (!this.button) return;
    this.#owed = this.#held;
    if (this.#held) return;
    const summary = this.#summary;
    const shares = summary?.resources ?? [];
    const left = Math.min(100, ...shares.map((share) => Number(share.left_percent)));
    const status = !summary ? "loading" : summary.stale || this.#failed ? "stale" : summary.status;
    this.button.className = `open ${status}`;
    this.button.replaceChildren(clock(shares.length ? left : 0, status));
    const failed = this.#failed ? " Could not be loaded anew." : "";
    this.button.setAttribute("aria-label", summary ? summary.sentence + failed : this.#failed ? "Credit usage: could not be loaded." : "Credit usage: loading.");
    // People hear of a change of status, not of each figure.
    const said = summary ? `${summary.state} ${summary.status} ${summary.stale}` : "";
    if (said !== this.#told && this.#told) this.status.textContent = summary.sentence;
    this.#told = said;
    if (!this.panel.hidden) this.#drawPanel();
    if (this.hasAttribute("banners")) this.#drawBanners();
  }

  #drawPanel() {
    const focused = this.#root.activeElement?.dataset?.name;
    const summary = this.#summary;
    const account = this.getAttribute("account") ?? "";
    const copy = el("button", { className: "small", type: "button" }, "Copy");
    copy.dataset.name = "copy";
    copy.addEventListener("click", () => this.#copy(account, copy));
    const parts = [el("div", { className: "row" }, el("p", {}, el("span", { className: "quiet" }, "Account "), el("code", {}, account)), copy)];
    if (this.#failed) parts.push(this.#drawFailure());
    if (!summary && !this.#failed) parts.push(...NAMES.map((name) => el("section", { className: "loading" }, pie(0), el("h2", {}, name), el("p", { className: "quiet" }, "Loading …"), bar(0, 0))));
    if (!summary) { /* as said above */ }
    else if (summary.state === "not_opened" && summary.stale) parts.push(el("p", { className: "state stale" }, "This account may have been opened: the newest events are still being counted."));
    else if (summary.state === "not_opened") parts.push(el("p", { className: "state" }, "This account is not opened yet: nothing is allowed."));
    else if (summary.state === "closed") parts.push(el("p", { className: "state" }, "This account is closed: nothing is allowed."));
    for (const share of summary?.resources ?? []) parts.push(this.#drawShare(share));
    if (summary?.as_of) parts.push(el("p", { className: "quiet as-of" }, this.#asOf()));
    const links = [["billing", "Manage billing"], ["support", "Contact support"]].filter(([name]) => summary?.links?.[name]);
    if (links.length) parts.push(el("p", { className: "links" }, ...links.map(([name, text]) => el("a", { href: summary.links[name], "data-name": name }, text))));
    this.panel.replaceChildren(...parts);
    if (focused) this.#root.querySelector(`[data-name="${focused}"]`)?.focus();
  }

  #drawFailure() {
    const again = el("button", { className: "small", type: "button" }, "Try again");
    again.dataset.name = "again";
    again.addEventListener("click", () => this.#load());
    return el("div", { className: "row" }, el("p", { className: "quiet" }, this.#why || (this.#summary ? "Could not be loaded anew: these are old figures." : "Could not be loaded.")), again);
  }

  #drawShare(share) {
    const stale = this.#summary.stale || this.#failed;
    const used = 100 - Number(share.left_percent);
    const kind = stale ? "stale" : share.status;
    const unused = Number(share.consumed) === 0;
    const hint = share.resource === "model_credits" ? "For models, guardrails and custom scripts" : null;
    const section = el("section", { className: kind }, pie(used), el("h2", {}, share.name),
      el("p", {}, el("strong", {}, share.used_text)), hint ? el("p", { className: "quiet" }, hint) : null, bar(used, ghostOf(share, used)));
    let state = unused ? `No usage yet: ${share.left_text}` : `${share.left_text}${WORDS[share.status] ? `, ${WORDS[share.status]}` : ""}`;
    if (stale) state = this.#summary.stale ? "May be old: catching up" : "May be old";
    else if (share.epoch === 0) state = "Nothing was granted yet";
    else if (Number(share.remaining) < 0) state = `${share.left_text.replace(" left", "")}: comes off the next top-up`;
    else if (share.status === "exhausted") state = share.exhausted_since_text ? `Nothing left since ${share.exhausted_since_text}` : "Nothing left";
    section.append(el("p", { className: "state" }, state));
    for (const grant of this.#granted(share.resource)) section.append(el("p", { className: "wide" }, grant.text));
    if (share.runway && !stale) section.append(el("p", { className: "quiet wide" }, share.runway.text));
    return section;
  }

  async #copy(account, button) {
    try {
      await navigator.clipboard.writeText(account);
      button.textContent = this.status.textContent = "Copied";
    } catch {
      button.textContent = this.status.textContent = "Could not be copied";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  // Only when others are to be shown: what is put in anew is read out anew, and loses the focus.
  #drawBanners() {
    const { links, actions, may_buy: mayBuy, banners = [] } = this.#summary ?? {};
    const account = this.getAttribute("account");
    const closed = this.#closed();
    const shown = banners.filter((banner) => !banner.removable || !closed[account]?.includes(banner.key));
    const said = JSON.stringify([account, links, mayBuy, shown.map((banner) => [banner.key, banner.text])]);
    if (said === this.#banners) return;
    this.#banners = said;
    this.list.replaceChildren(...shown.map((banner) => {
      const line = el("div", { className: `banner ${banner.removable ? "moderate" : "low"}`, role: banner.removable ? "status" : "alert" });
      const action = actions?.[banner.kind];
      line.append(el("p", {}, banner.text, action && !mayBuy ? ` ${action}` : ""));
      if (action && mayBuy && links?.billing) line.append(el("a", { href: links.billing }, action));
      if (banner.removable) {
        const close = el("button", { className: "small", type: "button", "aria-label": `Close: ${banner.text}` }, "×");
        close.addEventListener("click", () => this.#close(account, banner.key));
        line.append(close);
      }
      return line;
    }));
  }

  #closed() {
    try { return JSON.parse(localStorage.getItem(CLOSED)) ?? {}; } catch { return {}; /* storage is off: nothing stays closed */ }
  }

  #close(account, key) {
    const closed = this.#closed();
    const kept = (this.#summary?.banners ?? []).map((one) => one.key);
    closed[account] = [...(closed[account] ?? []).filter((one) => kept.includes(one)), key];
    try { localStorage.setItem(CLOSED, JSON.stringify(closed)); } catch { this.#summary.banners = this.#summary.banners.filter((one) => one.key !== key); }
    this.#drawBanners();
    (this.list.querySelector("button, a") ?? this.button).focus();
  }
}

if (!customElements.get("credit-usage")) customElements.define("credit-usage", CreditUsage);
