// Answers on their way. Each is kept in this browser until the server has said that it has it, and sent again with the
// same key as often as it takes, so that none is lost and none counts twice.

import { call, freshKey, Lost, pause, Refused, SignedOut } from "./api.js";
import { drop, names, read, write } from "./shelf.js";

const LONGEST = 30_000;

/**
 * Events: "change" (the count or the state), "sent" {entry, receipt}, "lost" {entry, message},
 * "refused" {entry, message}. States: "idle", "sending", "offline", "signed-out".
 */
export class Outbox extends EventTarget {
  #entries = [];
  #busy = false;
  #wake = () => {};
  #flying = null;

  constructor(account) {
    super();
    this.account = account;
    this.state = "idle";
    this.#entries = names(account, "out:").map((name) => read(account, name)).filter(Boolean);
    this.#entries.sort((a, b) => a.at - b.at);
    for (const name of ["online", "focus"]) globalThis.addEventListener(name, () => this.#wake());
    globalThis.addEventListener("storage", () => this.#wake());
  }

  get waiting() {
    return this.#entries.length;
  }

  /** Where the waiting ones go. */
  get paths() {
    return this.#entries.map((entry) => entry.path);
  }

  /** Whether some of them are not in this browser's storage, and would be lost with the tab. */
  get unkept() {
    return this.#entries.some((entry) => entry.kept === false);
  }

  /** Put something in: {kind, path, body, title}. It is kept before this returns; sending begins at once. */
  put({ kind, path, body, title }) {
    const entry = { id: freshKey(), kind, path, body, title, at: Date.now() };
    this.#entries.push(entry);
    entry.kept = write(this.account, `out:${entry.id}`, { ...entry, kept: true });
    this.run();
    return entry;
  }

  /** Take something out again; false if it is on its way or has been sent. */
  cancel(entry) {
    if (this.#flying === entry.id || !this.#entries.includes(entry)) return false;
    this.#remove(entry);
    this.#tell(this.waiting ? this.state : "idle");
    return true;
  }

  /** Send what waits, oldest first. */
  async run() {
    if (this.#busy) return;
    this.#busy = true;
    let wait = 500;
    while (this.#entries.length) {
      const entry = this.#entries[0];
      if (entry.kept && !names(this.account, `out:${entry.id}`).length) {
        this.#remove(entry); // another tab has sent it
        continue;
      }
      try {
        this.#flying = entry.id;
        this.#tell("sending");
        const receipt = await call("POST", entry.path, entry.body);
        this.#finish(entry, "sent", { receipt });
        wait = 500;
      } catch (error) {
        if (error instanceof Lost) this.#finish(entry, entry.kind === "answer" ? "lost" : "sent", { message: error.message });
        else if (error instanceof Refused) this.#finish(entry, "refused", { message: error.message });
        else {
          this.#flying = null;
          this.#tell(error instanceof SignedOut ? "signed-out" : "offline");
          await Promise.race([pause(wait), new Promise((resolve) => (this.#wake = resolve))]);
          wait = Math.min(wait * 2, LONGEST);
        }
      }
    }
    this.#busy = false;
    this.#tell("idle");
  }

  #finish(entry, event, detail) {
    this.#flying = null;
    this.#remove(entry);
    this.dispatchEvent(new CustomEvent(event, { detail: { entry, ...detail } }));
  }

  #remove(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    drop(this.account, `out:${entry.id}`);
  }

  #tell(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change"));
  }
}
