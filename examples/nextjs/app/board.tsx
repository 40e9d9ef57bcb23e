"use client";

import { useRealtimeProduction } from "kentongan-react";

const LAMP = { live: "Terhubung", quiet: "Terhubung", behind: "Menghubungkan", stale: "Data lama", dead: "Terputus" } as const;
const time = new Intl.DateTimeFormat("id-ID", { timeStyle: "short" });

export function Board() {
  const { productions, alerts, connection } = useRealtimeProduction();
  const at = connection.freshAt;
  return (
    <>
      <p role="status">
        {LAMP[connection.health]}
        {!connection.fresh && at !== undefined && ` – data pukul ${time.format(at)}`}
      </p>
      <ul aria-label="Peringatan">
        {alerts.map((a) => (
          <li key={a.id}>
            {a.severity ?? "–"} {a.code ?? "–"}
          </li>
        ))}
      </ul>
      <table style={connection.fresh ? undefined : { opacity: 0.5 }}>
        <thead>
          <tr>
            <th>Batch</th>
            <th>Status</th>
            <th>Porsi</th>
          </tr>
        </thead>
        <tbody>
          {productions.map((p) => (
            <tr key={p.id}>
              <td>{p.batchNumber ?? p.id}</td>
              <td>{p.status ?? "–"}</td>
              <td>
                {p.actualPortions ?? "–"} / {p.plannedPortions ?? "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
