// The task page: which task is in front, what happens to it, and what the marks at the top say.

import { call, freshKey, Lost, pause, Refused, SignedOut } from "./api.js";
import { Clock } from "./clock.js";
import { Drafts } from "./drafts.js";
import { announce, h, meta, path } from "./html.js";
import { Keys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { askSkip, GuidelinePanel, lostNotice, showExpected, showKeys } from "./panels.js";
import { TaskState } from "./state.js";
import { Tabs } from "./tabs.js";
import { TaskView } from "./view.js";

const LONGEST_BEAT = 60_000;
const STILL_HERE = 15 * 60_000;
const POLL = 20_000;
const find = (selector) => document.querySelector(selector);

class Work {
  #ahead = [];
  #fetching = null;
  #last = null;
  #resting = false;
  #note = find("#note textarea");

  constructor(root) {
    this.root = root;
    this.campaign = root.dataset.campaign || null;
    this.stage = find("#task");
    const account = meta("heed-account");
    this.clock = new Clock();
    this.clock.stop();
    this.outbox = new Outbox(account);
    this.drafts = new Drafts(account);
    this.tabs = new Tabs(account, () => this.#tokens());
    this.panel = new GuidelinePanel(find("#guideline"));
    this.keys = new Keys(() => this.view?.bindings ?? [], () => this.#bindings());
    this.#listen();
  }

  async start() {
    const { response } = this.root.dataset;
    this.outbox.run();
    if (response) {
      const task = await call("GET", `/api/response/${response}`);
      return this.show(task);
    }
    await this.next();
    return this.#beat();
  }

  /** Put a task in front. */
  show(task, message = "") {
    this.view?.close();
    this.drafts.pause();
    this.task = null;
    this.error(message);
    this.stage.classList.remove("waiting");
    const keep = () => ({ payload: this.state.draft, time: this.clock.read() });
    const { payload, time } = this.drafts.open(task, keep);
    this.task = task;
    this.state = new TaskState({ ...task, draft: payload });
    this.clock.reset(time ?? {});
    const changed = (said) => this.#changed(said);
    this.view = new TaskView(task, this.state, { changed, submit: () => this.submit() });
    this.stage.replaceChildren(this.view.element);
    this.root.dataset.token = task.token;
    this.#note.value = this.state.note;
    find("#note").open = Boolean(this.state.note);
    find("#note").hidden = !task.settings.note;
    this.panel.use(task.guideline);
    this.#marks();
    this.view.focus();
    scrollTo({ top: 0 });
    this.#fetch();
  }

  /** The next task: the one fetched ahead, or one from the server. */
  async next() {
    this.#resting = false;
    const ready = this.#ahead.shift();
    if (ready) return this.show(ready);
    this.#wait("One moment …");
    for (;;) {
      const { task, message } = await this.#fetch(await this.tabs.others());
      if (this.#resting || this.task) return null;
      const found = this.#ahead.shift();
      if (found) return this.show(found);
      const offline = task === undefined;
      this.#wait(message || "There is nothing left for you at the moment.", offline);
      await Promise.race([pause(offline ? POLL / 4 : POLL), new Promise((resolve) => addEventListener("online", resolve, { once: true }))]);
      if (this.#resting || this.task) return null;
    }
  }

  /** Hand the task in, if nothing is missing: it goes to the outbox, and the next one is here at once. */
  submit() {
    if (!this.task) return;
    const { missing } = this.state;
    if (missing.length) {
      announce(`Not yet. Still to do: ${missing.join("; ")}`);
      find("#missing").classList.add("asked");
      return;
    }
    const { task, state } = this;
    const { payload } = state;
    const revising = Boolean(task.response);
    const where = revising ? `/api/response/${task.response}/revise` : `/api/task/${task.token}/submit`;
    const time = revising ? {} : this.clock.read();
    this.clock.stop();
    const body = { key: freshKey(), payload, ...time };
    const entry = this.outbox.put({ kind: "answer", path: where, body, title: task.title });
    Object.assign(entry, { task, revision: this.drafts.revision });
    this.#done();
    if (this.root.dataset.response) return void this.#backToHistory(entry);
    if (!task.settings.feedback) this.#offerUndo(entry, task, state.draft);
    announce("Handed in");
    this.next();
  }

  /** Open the answer just handed in again: not yet sent, it is taken back; sent, it will be superseded. */
  async undo() {
    const last = this.#last;
    if (!last) return announce("Nothing to take back");
    this.#forgetUndo();
    if (this.outbox.cancel(last.entry)) return this.#reopen({ ...last.task, draft: last.draft, revision: last.entry.revision });
    const receipt = last.entry.receipt ?? (await last.sent);
    if (!receipt) return null;
    return this.#reopen({ ...last.task, token: "", response: receipt.response, draft: last.draft, revision: 0 });
  }

  async skip() {
    if (!this.task || this.task.response) return;
    const { task } = this;
    const answer = await askSkip(find("#skip"));
    if (!answer || this.task !== task) return;
    this.outbox.put({ kind: "skip", path: `/api/task/${task.token}/skip`, body: answer, title: task.title });
    this.clock.stop();
    this.#done();
    announce("Skipped");
    this.next();
  }

  /** Stop for now: what was not begun goes back to the others. */
  rest() {
    const back = this.#ahead.splice(0).map((task) => task.token);
    this.#resting = true;
    const begun = this.task && this.drafts.revision > 0;
    if (this.task && !begun) back.push(this.task.token);
    for (const token of back.filter(Boolean)) this.outbox.put({ kind: "return", path: `/api/task/${token}/return`, body: {}, title: "" });
    this.clock.stop();
    this.drafts.pause();
    this.#clear();
    const words = begun ? "The task that you began is kept for you for a while." : "No task waits for you.";
    const on = h("button.primary", { type: "button", onclick: () => this.next() }, "Go on");
    this.#wait(words, false, on);
    on.focus();
  }

  error(message) {
    find("#problem").textContent = message;
    if (message) announce(message);
  }

  /** Something was said, or (false) only looked at. */
  #changed(said = true) {
    if (said) this.drafts.touch();
    this.#marks();
  }

  #done() {
    this.drafts.close();
    this.#clear();
  }

  #clear() {
    this.view?.close();
    this.view = null;
    this.task = null;
    this.root.dataset.token = "";
    this.#marks();
  }

  #wait(message, offline = false, button = null) {
    this.stage.classList.add("waiting");
    const words = offline ? "The server cannot be reached. What you have done is kept here, and the next task comes when the line is back." : message;
    this.stage.replaceChildren(h("div.empty", {}, h("p", {}, words), button));
    find("#note").hidden = true;
    this.#marks();
  }

  #reopen(task) {
    if (this.task) {
      this.drafts.pause();
      this.#ahead.unshift({ ...this.task, draft: this.state.draft, revision: this.drafts.revision });
    }
    this.show(task);
    announce("Open again. Hand it in to replace what you said.");
  }

  async #backToHistory(entry) {
    await this.#arrival(entry);
    location.assign(path("/work/history"));
  }

  #arrival(entry) {
    return new Promise((resolve) => {
      const sent = ({ detail }) => detail.entry === entry && resolve(detail.receipt ?? null);
      for (const name of ["sent", "lost", "refused"]) this.outbox.addEventListener(name, sent);
    });
  }

  #offerUndo(entry, task, draft) {
    this.#forgetUndo();
    const sent = this.#arrival(entry);
    const seconds = task.settings.undo_seconds;
    if (!seconds) return;
    this.#last = { entry, task, draft, sent, timer: setTimeout(() => this.#forgetUndo(), seconds * 1000) };
    find("#undo").hidden = false;
  }

  #forgetUndo() {
    clearTimeout(this.#last?.timer);
    this.#last = null;
    find("#undo").hidden = true;
  }

  #tokens() {
    const unsent = this.outbox.paths.map((where) => where.split("/")[3]);
    return [this.task?.token, ...this.#ahead.map((task) => task.token), ...unsent].filter(Boolean);
  }

  /** Fetch one task ahead. Gives what the server said, or {} when it cannot be reached. */
  async #fetch(others = []) {
    if (this.root.dataset.response || this.#ahead.length) return {};
    this.#fetching ??= this.#ask(others).finally(() => (this.#fetching = null));
    return this.#fetching;
  }

  async #ask(others) {
    try {
      const said = await call("POST", "/api/next", { have: [...this.#tokens(), ...others], ...(this.campaign ? { campaign: this.campaign } : {}) });
      const known = said.task && this.#tokens().includes(said.task.token);
      if (said.task && !known) this.#ahead.push(said.task);
      return said;
    } catch (error) {
      if (error instanceof SignedOut) return { task: null, message: "You are signed out. Sign in again in another tab; this page then goes on." };
      return error instanceof Refused || error instanceof Lost ? { task: null, message: error.message } : {};
    }
  }

  async #beat() {
    for (;;) {
      const seconds = this.task?.settings.lease_seconds ?? 180;
      await pause(Math.max(1000, Math.min(LONGEST_BEAT, (seconds * 1000) / 3)));
      if (this.clock.quiet > STILL_HERE) continue;
      for (const task of [this.task, ...this.#ahead]) {
        if (!task?.token) continue;
        try {
          await call("POST", `/api/task/${task.token}/beat`, {});
        } catch (error) {
          if (error instanceof Lost) this.#gone(task);
        }
      }
    }
  }

  /** The time for a task ran out, perhaps while the machine slept: one that was not begun is exchanged for another. */
  #gone(task) {
    this.#ahead = this.#ahead.filter((other) => other !== task);
    if (task !== this.task || this.drafts.revision > 0) return;
    this.#done();
    this.next();
  }

  #bindings() {
    const send = { keys: ["Ctrl+Enter"], label: "hand it in", run: () => this.submit(), typing: true };
    const skip = { keys: ["s", "Shift+S"], label: "skip it, with a reason", run: () => this.skip() };
    const note = { keys: ["n", "Shift+N"], label: "a note about it", run: () => this.openNote() };
    return [
      ...(this.task ? [send, ...(this.task.response ? [] : [skip]), ...(this.task.settings.note ? [note] : [])] : []),
      { keys: ["u", "Shift+U"], label: "take back what was handed in last", run: () => this.undo() },
      { keys: ["g", "Shift+G"], label: "the guideline", run: () => this.panel.toggle() },
      { keys: ["?"], label: "these keys", run: () => showKeys(find("#keys"), this.keys) },
    ];
  }

  openNote() {
    find("#note").open = true;
    this.#note.focus();
  }

  #listen() {
    const actions = { submit: () => this.submit(), skip: () => this.skip(), rest: () => this.rest(), undo: () => this.undo(), guideline: () => this.panel.toggle(), keys: () => showKeys(find("#keys"), this.keys), note: () => this.openNote() };
    for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
    this.#note.addEventListener("input", () => {
      this.state.note = this.#note.value;
      this.#changed();
    });
    this.#note.addEventListener("keydown", (event) => event.key === "Escape" && this.#note.blur());
    for (const source of [this.outbox, this.drafts]) source.addEventListener("change", () => this.#marks());
    this.outbox.addEventListener("sent", ({ detail: { entry, receipt } }) => {
      entry.receipt = receipt;
      if (receipt?.gold && entry.task) showExpected(find("#expected"), { task: entry.task, payload: entry.body.payload, gold: receipt.gold });
    });
    this.outbox.addEventListener("lost", ({ detail: { entry, message } }) => find("#notices").append(lostNotice(entry, message)));
    this.outbox.addEventListener("refused", ({ detail: { entry, message } }) => this.#refused(entry, message));
    globalThis.addEventListener("online", () => this.task && this.#fetch());
    globalThis.addEventListener("beforeunload", (event) => this.outbox.waiting && this.outbox.unkept && event.preventDefault());
  }

  #refused(entry, message) {
    if (entry.kind !== "answer" || !entry.task) return this.error(message);
    this.#forgetUndo();
    this.#reopen({ ...entry.task, draft: { ...entry.body.payload }, revision: entry.revision });
    return this.error(message);
  }

  /** What is missing, and where everything is kept. */
  #marks() {
    const { state: out, waiting } = this.outbox;
    const { state } = this.drafts;
    const answers = `${waiting} ${waiting === 1 ? "answer waits" : "answers wait"}`;
    let words = "Saved";
    let tone = "good";
    if (out === "signed-out" || state === "signed-out") [words, tone] = [`Signed out: sign in again in another tab, nothing is lost${waiting ? ` (${answers})` : ""}`, "bad"];
    else if (out === "offline" || state === "offline") [words, tone] = [`Offline: kept here${waiting ? `, ${answers}` : ""}`, "warn"];
    else if (state === "ended") [words, tone] = ["The time for this task ran out; hand it in and it counts if it is still free", "warn"];
    else if (waiting) [words, tone] = [waiting === 1 ? "Sending …" : `Sending ${waiting} …`, ""];
    else if (state === "saving") [words, tone] = ["Saving …", ""];
    const mark = find("#saved");
    if (mark.textContent !== words) mark.textContent = words;
    mark.className = `tag ${tone}`;
    mark.dataset.state = tone === "good" ? "saved" : tone === "" ? "busy" : "held";
    const missing = this.task ? this.state.missing : [];
    find("#hand-in").hidden = !this.task;
    find("#bar-actions").hidden = !this.task;
    const ready = this.task && !missing.length;
    find("#submit").setAttribute("aria-disabled", String(!ready));
    const [first, ...rest] = missing;
    find("#missing").textContent = this.task ? (first ? `Still to do: ${first}${rest.length ? `, and ${rest.length} more` : ""}` : "Ready to hand in") : "";
    find("#missing").title = missing.join("; ");
    find("#missing").classList.toggle("asked", !ready && find("#missing").classList.contains("asked"));
  }
}

const root = document.getElementById("work");
if (root) {
  const work = new Work(root);
  work.start().catch((error) => work.error(error.message));
}
