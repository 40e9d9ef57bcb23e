import type { ReactNode } from "react";

import { Live } from "./live";

export const metadata = { title: "Dapur" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="id">
      <body>
        <Live>{children}</Live>
      </body>
    </html>
  );
}
