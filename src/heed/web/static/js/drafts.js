// Drafts: a copy in this browser at once, one on the server shortly after, with the same revision number. Whichever
// is newer is where one goes on.

import { call, Lost, Refused, SignedOut } from "./api.js";
import { meta, path } from "./html.js";
import { drop, read, write } from "./shelf.js";

const REST = 600;
const KEEPALIVE_LIMIT = 60_000;

/** Events: "change". States: "saved", "saving", "offline", "signed-out", "ended" (the lease ran out). */
export class Drafts extends EventTarget {
  #task = null;
  #make = null;
  #timer = null;
  #wait = REST;
  #flying = false;
  #saved = 0;

  constructor(account) {
    super();
    this.account = account;
    this.state = "saved";
    this.revision = 0;
    globalThis.addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave());
    document.addEventListener("heed:sign-out", () => {
      this.#leave();
      this.close();
    });
    globalThis.addEventListener("online", () => this.#soon(0));
  }

  /**
   * Begin with a task: the newer of the server's draft and the local one. Gives {payload, time}, each perhaps null.
   * `make` says what is to be kept: {payload, time}.
   */
  open(task, make) {
    this.#task = task;
    this.#make = make;
    this.#wait = REST;
    clearTimeout(this.#timer);
    const local = read(this.account, this.#name);
    const newer = local && local.revision > (task.revision ?? 0);
    this.revision = Math.max(task.revision ?? 0, local?.revision ?? 0);
    this.#saved = newer ? (task.revision ?? 0) : this.revision;
    this.#tell("saved");
    if (newer) this.#soon(REST);
    return { payload: newer ? local.payload : task.draft, time: local?.time ?? null };
  }

  /** Something was answered. */
  touch() {
    if (!this.#task) return;
    this.revision += 1;
    this.#keep();
    if (this.#task.token) {
      this.#tell(this.state === "ended" ? "ended" : "saving");
      this.#soon(this.#wait);
    }
  }

  /** The task is handed in, skipped or gone: nothing of it stays here. */
  close() {
    clearTimeout(this.#timer);
    if (this.#task) drop(this.account, this.#name);
    this.#task = null;
    this.#tell("saved");
  }

  /** Put the task aside without losing what was typed. */
  pause() {
    if (!this.#task) return;
    clearTimeout(this.#timer);
    this.#leave();
    this.#task = null;
  }

  get #name() {
    return `draft:${this.#task.token || `response-${this.#task.response}`}`;
  }

  #keep() {
    write(this.account, this.#name, { revision: this.revision, ...this.#make() });
  }

  #soon(wait) {
    clearTimeout(this.#timer);
    if (this.#task?.token) this.#timer = setTimeout(() => this.#save(), wait);
  }

  async #save() {
    const task = this.#task;
    if (!task?.token || this.#saved >= this.revision || this.state === "ended") return;
    if (this.#flying) return this.#soon(100);
    this.#flying = true;
    const revision = this.revision;
    let state = "saved";
    try {
      await call("PUT", `/api/task/${task.token}/draft`, { revision, payload: this.#make().payload });
      this.#wait = REST;
      if (this.#task === task) this.#saved = Math.max(this.#saved, revision);
    } catch (error) {
      if (error instanceof Lost) state = "ended";
      else if (error instanceof Refused) state = "offline";
      else state = error instanceof SignedOut ? "signed-out" : "offline";
    } finally {
      this.#flying = false;
    }
    if (this.#task !== task) return;
    if (state === "offline" || state === "signed-out") {
      this.#wait = Math.min(this.#wait * 2, 15_000);
      this.#soon(this.#wait);
    } else if (state === "saved" && this.#saved < this.revision) {
      state = "saving";
      this.#soon(REST);
    }
    this.#tell(state);
  }

  /** The page may be gone in a moment: what is not saved goes now. */
  #leave() {
    if (!this.#task || this.#saved >= this.revision) return;
    this.#keep();
    if (!this.#task.token) return;
    const body = JSON.stringify({ revision: this.revision, payload: this.#make().payload });
    if (body.length > KEEPALIVE_LIMIT) return;
    const headers = { "Content-Type": "application/json", "X-Heed-CSRF": meta("heed-csrf") };
    fetch(path(`/api/task/${this.#task.token}/draft`), { method: "PUT", keepalive: true, body, headers }).catch(() => {});
  }

  #tell(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change"));
  }
}
