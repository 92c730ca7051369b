// What is kept in this browser, and for how long: drafts and answers on their way, under the account they belong to.
// Never a session or a token that signs anyone in. Signing out empties it; another person's leftovers go after a day.

const ROOT = "heed";
const DAY = 24 * 3600 * 1000;

function entries(account) {
  const start = `${ROOT}:${account}:`;
  return Object.keys(localStorage).filter((key) => key.startsWith(start));
}

export function read(account, name) {
  try {
    const kept = localStorage.getItem(`${ROOT}:${account}:${name}`);
    return kept === null ? null : JSON.parse(kept).value;
  } catch {
    return null;
  }
}

/** Keep a value; false if this browser has no room for it. */
export function write(account, name, value) {
  try {
    localStorage.setItem(`${ROOT}:${account}:${name}`, JSON.stringify({ at: Date.now(), value }));
    return true;
  } catch {
    return false;
  }
}

export function drop(account, name) {
  try {
    localStorage.removeItem(`${ROOT}:${account}:${name}`);
  } catch {
    // storage is switched off: there is nothing to remove
  }
}

/** Names of what is kept that begin with `start`. */
export function names(account, start) {
  try {
    const cut = `${ROOT}:${account}:`.length;
    return entries(account).map((key) => key.slice(cut)).filter((name) => name.startsWith(start));
  } catch {
    return [];
  }
}

/** How many answers have not reached the server. */
export function waiting(account) {
  return names(account, "out:").length;
}

export function forgetAccount(account) {
  for (const name of names(account, "")) drop(account, name);
}

/** Remove what other accounts left in this browser more than a day ago, and own drafts of a month ago. */
export function forgetStrangers(account) {
  try {
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith(`${ROOT}:`))) {
      let at = 0;
      try {
        at = JSON.parse(localStorage.getItem(key)).at ?? 0;
      } catch {
        at = 0;
      }
      const own = key.startsWith(`${ROOT}:${account}:`);
      if (Date.now() - at > (own ? 30 * DAY : DAY)) localStorage.removeItem(key);
    }
  } catch {
    // storage is switched off: there is nothing to remove
  }
}
