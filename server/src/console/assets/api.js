// Requests to the server. The token of the login is only in the memory of this page: a reload, a
// closed tab and a copy of the browser's profile do not have it. The login ends with the page.

let login = null;

/** Reason for which a request had no effect. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(address, body, headers = {}) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json; charset=utf-8", ...headers },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Refusal(0, "The server cannot be reached.");
  }
  const reply = await response.json().catch(() => ({}));
  if (response.ok) return reply;
  const wait = response.headers.get("Retry-After");
  const later = wait ? ` Try again in ${wait} s.` : "";
  const text = reply.refused ?? reply.hint ?? reply.title ?? `The server answered ${response.status}`;
  throw new Refusal(response.status, `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}${later}`);
}

/** Logs in; only an administrator gets in. */
export async function logIn(name, password) {
  const reply = await send("/auth", { provider: "password", data: name, app_id: "", user_info: { password, register: false } });
  const { token, token_data: { identity, is_admin: isAdmin } } = reply.refresh_token;
  login = { token, identity, name };
  if (!isAdmin) {
    await logOut();
    throw new Refusal(403, "Only administrators may use the console.");
  }
}

/** Ends the login at the server, too. */
export async function logOut() {
  const ended = login;
  login = null;
  if (ended) await send("/auth/revoke", { token: ended.token }, { Authorization: ended.token }).catch(() => {});
}

export function user() {
  return login;
}

/** Carries out a request of an administrator, as docs/server.md#console says. */
export async function ask(request, fields = {}) {
  if (!login) throw new Refusal(401, "The login has ended.");
  const { token } = login;
  try {
    return await send("/admin", { request, ...fields }, { Authorization: `Bearer ${token}` });
  } catch (error) {
    if ((error.status === 401 || error.status === 403) && login?.token === token) {
      login = null;
      dispatchEvent(new CustomEvent("login-ended", { detail: error.message }));
    }
    throw error;
  }
}

/** Tells whether the server is healthy; null if it cannot be reached. */
export async function health() {
  try {
    const response = await fetch("/health", { credentials: "omit", cache: "no-store" });
    return { isHealthy: response.ok, text: (await response.text()).trim() };
  } catch {
    return null;
  }
}

// A page that goes away keeps no login behind.
addEventListener("pagehide", () => {
  if (!login) return;
  const { token } = login;
  login = null;
  fetch("/auth/revoke", {
    method: "POST",
    keepalive: true,
    credentials: "omit",
    headers: { "Content-Type": "application/json; charset=utf-8", Authorization: token },
    body: JSON.stringify({ token }),
  }).catch(() => {});
});

// A page that comes back from the browser's memory has no login.
addEventListener("pageshow", (event) => {
  if (event.persisted && !login) dispatchEvent(new CustomEvent("login-ended", { detail: "" }));
});
