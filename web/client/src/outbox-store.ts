/** Where an outbox keeps its entries: IndexedDB, or memory where there is none. */

export interface Stored {
  /** Its place in the order; the store gives it. */
  readonly seq: number;
  readonly entry: unknown;
}

export interface Store {
  /** What is kept survives a reload. */
  readonly durable: boolean;
  /** Keeps an entry behind all others, and returns its place, once it is on the disk. */
  add(entry: unknown): Promise<number>;
  all(): Promise<readonly Stored[]>;
  put(seq: number, entry: unknown): Promise<void>;
  remove(seq: number): Promise<void>;
  close(): void;
}

const TABLE = "entries";

/** Opens the store called name. A browser that refuses (a private window) gets one in memory, which says so. */
export async function openStore(name: string): Promise<Store> {
  if (typeof indexedDB === "undefined") return new MemoryStore();
  try {
    return new DiskStore(await open(name));
  } catch {
    return new MemoryStore();
  }
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB does not open"));
  });
}

class DiskStore implements Store {
  readonly durable = true;
  readonly #db: IDBDatabase;

  constructor(db: IDBDatabase) {
    this.#db = db;
    db.onversionchange = () => db.close();
  }

  async add(entry: unknown): Promise<number> {
    return (await this.#write((t) => t.add(entry))) as number;
  }

  async put(seq: number, entry: unknown): Promise<void> {
    await this.#write((t) => t.put(entry, seq));
  }

  async remove(seq: number): Promise<void> {
    await this.#write((t) => t.delete(seq));
  }

  all(): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      const found: Stored[] = [];
      const request = this.#db.transaction(TABLE).objectStore(TABLE).openCursor();
      request.onsuccess = () => {
        const cursor = request.result;
        if (cursor === null) return resolve(found);
        found.push({ seq: cursor.key as number, entry: cursor.value });
        cursor.continue();
      };
      request.onerror = () => reject(request.error ?? new Error("IndexedDB does not read"));
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Resolves when the transaction is complete, and not when the request is: only then it is on the disk. */
  #write(act: (table: IDBObjectStore) => IDBRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const t = this.#db.transaction(TABLE, "readwrite", { durability: "strict" });
      const request = act(t.objectStore(TABLE));
      t.oncomplete = () => resolve(request.result);
      t.onabort = t.onerror = () => reject(t.error ?? new Error("IndexedDB does not write"));
    });
  }
}

export class MemoryStore implements Store {
  readonly durable = false;
  readonly #entries = new Map<number, unknown>();
  #next = 1;

  async add(entry: unknown): Promise<number> {
    this.#entries.set(this.#next, entry);
    return this.#next++;
  }
  async all(): Promise<readonly Stored[]> {
    return [...this.#entries].map(([seq, entry]) => ({ seq, entry }));
  }
  async put(seq: number, entry: unknown): Promise<void> {
    this.#entries.set(seq, entry);
  }
  async remove(seq: number): Promise<void> {
    this.#entries.delete(seq);
  }
  close(): void {
    // nothing is open
  }
}
