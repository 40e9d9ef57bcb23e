/** The few things that this page does to the document. Text goes in as text only; there is no way here to put in markup. */

/** Returns the element with an id, which index.html must have. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const e = document.getElementById(id);
  if (!(e instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return e;
}

/** Makes an element with a class and children; a child that is a text becomes text. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  if (className !== "") e.className = className;
  e.append(...children);
  return e;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an icon out of the symbols in index.html. It says nothing to screen readers: a word stands beside each icon. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

/** Shows another symbol in an icon. */
export function setIcon(svg: Element, name: string): void {
  const use = svg.firstElementChild;
  if (use?.getAttribute("href") !== `#${name}`) use?.setAttribute("href", `#${name}`);
}

/** Sets the text of an element, if it differs: an untouched node costs no layout, and screen readers do not repeat it. */
export function setText(e: Element, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

/** Sets a class of an element out of a set of which it has one at most: setOneOf(e, "is-", "high"). */
export function setOneOf(e: Element, prefix: string, value: string | undefined): void {
  for (const c of [...e.classList]) if (c.startsWith(prefix) && c !== prefix + value) e.classList.remove(c);
  if (value !== undefined) e.classList.add(prefix + value);
}

/** One line of a list: its element, and how to bring it up to date. */
export interface Row<T> {
  readonly element: HTMLElement;
  readonly update: (item: T) => void;
}

/** Keeps the children of an element in step with a list of items, making, moving and removing as little as possible. */
export class List<T> {
  private readonly rows = new Map<string, Row<T>>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly key: (item: T) => string,
    private readonly make: () => Row<T>,
  ) {}

  show(items: readonly T[]): void {
    const keys = new Set(items.map(this.key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    let at = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      const row = this.rows.get(key) ?? this.make();
      this.rows.set(key, row);
      row.update(item);
      if (row.element === at) at = at.nextElementSibling;
      else this.parent.insertBefore(row.element, at);
    }
  }
}
