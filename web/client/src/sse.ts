/** Reads an event stream (WHATWG HTML, section 9.2.6) as its pieces come. */

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

/** What one event may take before the stream is given up: far over the 64 KiB of the largest publication. */
export const MAX_EVENT = 4 << 20;

/**
 * Returns a function that takes the next piece of the text and returns the events that are complete with it. `id` and `retry` are
 * passed over: our positions are in the data. It throws if an event has no end.
 */
export function streamReader(): (piece: string) => StreamEvent[] {
  let rest = "";
  let type = "";
  let data: string[] = [];
  let size = 0;
  return (piece) => {
    const events: StreamEvent[] = [];
    // A CR at the end may be the first half of a line break.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (line === "") {
        if (data.length > 0) events.push({ type: type || "message", data: data.join("\n") });
        type = "";
        data = [];
        size = 0;
      } else if (name === "event") type = value;
      else if (name === "data") {
        data.push(value);
        size += value.length;
      }
    }
    if (size + rest.length > MAX_EVENT) throw new Error("an event without an end");
    return events;
  };
}
