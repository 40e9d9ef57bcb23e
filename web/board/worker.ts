/**
 * The service worker: it keeps the files of the board, so that a tablet without a line can be switched on and used. It keeps no data;
 * that is the page's affair. BUILD is the content of the files, put in by the build: each build has a store of its own.
 */

declare const BUILD: string;

const STORE = `kentongan-board-${BUILD}`;
const SHELL = ["/", "/board.js", "/board.css", "/board.webmanifest", "/icon.svg"];

/** What a worker is given of the browser, as far as it is used here. */
interface Scope {
  addEventListener(type: "install" | "activate", f: (e: { waitUntil(p: Promise<unknown>): void }) => void): void;
  addEventListener(type: "fetch", f: (e: { readonly request: Request; respondWith(p: Promise<Response>): void }) => void): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
}

const scope = globalThis as unknown as Scope;

scope.addEventListener("install", (e) => {
  e.waitUntil(
    caches
      .open(STORE)
      // From the server, not out of the browser's own store: all files are of this build.
      .then((store) => store.addAll(SHELL.map((path) => new Request(path, { cache: "reload" }))))
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener("activate", (e) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((n) => n.startsWith("kentongan-board-") && n !== STORE).map((n) => caches.delete(n))));
  e.waitUntil(old.then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== "GET" || url.origin !== location.origin || !SHELL.includes(url.pathname)) return;
  // Only what is known whole is answered from here; everything else goes to the server as if there were no worker.
  e.respondWith(caches.open(STORE).then((store) => store.match(url.pathname)).then((kept) => kept ?? fetch(e.request)));
});
