// Talking to the server: JSON both ways, the CSRF token on everything that changes something, and errors by what one
// can do about them.

import { meta, parsePage, path } from "./html.js";

/** The server cannot be reached, or says that it cannot answer now. */
export class Unreachable extends Error {}
/** Nobody, or someone else, is signed in here. */
export class SignedOut extends Error {}
/** The task is no longer ours. */
export class Lost extends Error {}
/** The server will not take it: the message says why. */
export class Refused extends Error {}

const PATIENCE = 20_000;
let csrf = meta("heed-csrf");

async function send(method, where, body, keepalive) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE);
  try {
    return await fetch(path(where), {
      method,
      keepalive,
      credentials: "same-origin",
      redirect: "manual",
      signal: keepalive ? undefined : abort.signal,
      headers: {
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(method === "GET" ? {} : { "X-Heed-CSRF": csrf }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    throw new Unreachable(error.message);
  } finally {
    clearTimeout(timer);
  }
}

/** Call the server. A token that has grown old (one signed in again in another tab) is renewed once. */
export async function call(method, where, body, { keepalive = false, renewed = false } = {}) {
  const response = await send(method, where, body, keepalive);
  if (response.ok) {
    try {
      return await response.json();
    } catch (error) {
      throw new Unreachable(error.message);
    }
  }
  const { status, type } = response;
  if (type === "opaqueredirect" || status === 401) {
    if (!renewed && !keepalive && (await renew())) return call(method, where, body, { renewed: true });
    throw new SignedOut("You are signed out.");
  }
  const message = await reason(response);
  if (status === 409) throw new Lost(message);
  if (status === 403 && !renewed && !keepalive && (await renew())) return call(method, where, body, { renewed: true });
  if (status === 429 || status >= 500 || status === 408) throw new Unreachable(message);
  throw new Refused(message);
}

async function reason(response) {
  try {
    return (await response.json()).error ?? `The server answered ${response.status}.`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

/** Read the token anew from a page; true if it changed and the same person is signed in. */
async function renew() {
  let text;
  try {
    const response = await fetch(path("/guideline"), { credentials: "same-origin", redirect: "manual" });
    if (!response.ok) return false;
    text = await response.text();
  } catch {
    return false;
  }
  const page = parsePage(text);
  const token = page.querySelector('meta[name="heed-csrf"]')?.content;
  if (page.querySelector('meta[name="heed-account"]')?.content !== meta("heed-account")) return false;
  const changed = Boolean(token) && token !== csrf;
  if (changed) csrf = token;
  return changed;
}

/** A random key, also where the page does not come over TLS. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Wait. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
