// Requests to the server. The token is in the fragment of the address, which no browser sends.
const token = location.hash.slice(1);

export class RequestError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
  } catch {
    throw new RequestError(0, "The server has ended. All edits that were shown as saved are in the file.");
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new RequestError(answer.status, body.error || `The server answers ${answer.status}.`);
}

export const get = async (path) => (await request(path)).json();
export const bytes = async (path) => (await request(path)).arrayBuffer();
export const blob = async (path) => (await request(path)).blob();
export const post = async (path, data) => (await request(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
})).json();
