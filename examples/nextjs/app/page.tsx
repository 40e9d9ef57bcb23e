import { Board } from "./board";

/** Rendered on the server, where nothing is connected; the board goes live in the page. */
export default function Page() {
  return (
    <main>
      <h1>Produksi</h1>
      <Board />
    </main>
  );
}
