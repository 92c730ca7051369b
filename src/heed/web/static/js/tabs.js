// Tabs of one person tell each other which tasks they have in front, so that two tabs do not work on one task.

import { pause } from "./api.js";

const LISTEN = 120;

export class Tabs {
  #channel;
  #mine;
  #heard = new Set();

  /** `mine` says which tokens this tab holds. */
  constructor(account, mine) {
    this.#mine = mine;
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel(`heed-${account}`) : null;
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data.ask) this.#channel.postMessage({ held: this.#mine() });
      else for (const token of data.held ?? []) this.#heard.add(token);
    });
  }

  /** Tokens that other tabs hold now. */
  async others() {
    if (!this.#channel) return [];
    this.#heard.clear();
    this.#channel.postMessage({ ask: true });
    await pause(LISTEN);
    return [...this.#heard];
  }
}
