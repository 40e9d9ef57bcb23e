import { createContext, useContext, useState, type ReactNode } from "react";

import { createClient, type Client, type ClientOptions } from "kentongan";

const Context = createContext<Client | undefined>(undefined);

export interface KentonganProviderProps {
  /** A client that lives outside of React. Without it one is made from `options`, once. */
  readonly client?: Client | undefined;
  readonly options?: ClientOptions | undefined;
  readonly children?: ReactNode;
}

/**
 * Gives its children a client. It connects with the first hook that follows a channel, and never while a server renders.
 */
export function KentonganProvider({ client, options, children }: KentonganProviderProps): ReactNode {
  const [own] = useState(() => client ?? createClient(options));
  return <Context.Provider value={client ?? own}>{children}</Context.Provider>;
}

/** Returns the client. It throws outside of a KentonganProvider. */
export function useKentongan(): Client {
  const client = useContext(Context);
  if (client === undefined) throw new Error("kentongan-react: this component is not inside of a <KentonganProvider>");
  return client;
}
