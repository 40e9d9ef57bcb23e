/** Photos of a batch, and the sheet that takes one. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Action, Icon, Sheet, type IconName } from "./parts.tsx";
import { bytesOf, photosOf, shrink, type Shown } from "../photo.ts";
import { photo, type Draft } from "../entries.ts";
import { useScene } from "./use.ts";
import type { Batch } from "../batch.ts";
import type { Production } from "../kitchen.ts";

/** So many photos a batch has at most, on the server as well. */
const MAX_PHOTOS = 20;

export function Photos(props: { readonly row: Production; readonly onAdd: (() => void) | undefined }): JSX.Element | null {
  const { board, state, say } = useScene();
  const photos = photosOf(props.row, state.queue.unsent, board.told);
  if (photos.length === 0 && props.onAdd === undefined) return null;
  return (
    <section aria-labelledby="h-photos">
      <h3 id="h-photos">{say("photos")} <span class="count">{photos.length}</span></h3>
      <ul class="photos">{photos.map((p) => <li key={p.key}><One photo={p} /></li>)}</ul>
      {props.onAdd !== undefined && (
        <div class="acts"><Action icon="camera" word={say("addPhoto")} detail={photos.length >= MAX_PHOTOS ? say("photosFull") : undefined} disabled={photos.length >= MAX_PHOTOS} onTap={props.onAdd} /></div>
      )}
    </section>
  );
}

function One({ photo: p }: { readonly photo: Shown }): JSX.Element {
  const { board, state, format, say } = useScene();
  const who = state.setting.staff.find((m) => m.id === p.by)?.name;
  const caption = [format.clock(p.at), who, p.note].filter((s) => s !== undefined && s !== "").join(" – ");
  return (
    <figure class="photo">
      {p.path !== undefined && (
        <a href={board.path(p.path)} target="_blank" rel="noopener">
          <img src={board.path(p.path)} width={p.width} height={p.height} loading="lazy" decoding="async" alt={`${say("photo")} ${caption}`} />
        </a>
      )}
      {p.data !== undefined && <Drawn data={p.data} words={`${say("photo")} ${caption}`} />}
      <figcaption>{caption}{p.path === undefined && <span class="badge"><Icon name="clock" />{say("pending")}</span>}</figcaption>
    </figure>
  );
}

/** A photo that is on this device alone. It is drawn: the page's policy lets it load pictures from the server and nowhere else. */
function Drawn({ data, words }: { readonly data: string; readonly words: string }): JSX.Element {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let gone = false;
    void createImageBitmap(new Blob([bytesOf(data)], { type: "image/jpeg" })).then((picture) => {
      const canvas = ref.current;
      if (!gone && canvas !== null) {
        Object.assign(canvas, { width: picture.width, height: picture.height });
        canvas.getContext("2d")?.drawImage(picture, 0, 0);
      }
      picture.close();
    }, () => undefined); // the entry stays, and says what it is
    return () => {
      gone = true;
    };
  }, [data]);
  return <canvas ref={ref} role="img" aria-label={words} />;
}

/** Takes a photo, or picks one, and a few words to it. */
export function PhotoSheet({ batch, onClose, onEnter }: { readonly batch: Batch; readonly onClose: () => void; readonly onEnter: (d: Draft) => void }): JSX.Element {
  const { say } = useScene();
  const [data, setData] = useState<string>();
  const [note, setNote] = useState("");
  const [problem, setProblem] = useState("");
  const take = async (input: HTMLInputElement) => {
    const file = input.files?.[0];
    if (file === undefined) return;
    setProblem(say("photoReading"));
    const small = await shrink(file);
    input.value = ""; // the same one may be picked again
    setData(small);
    setProblem(small === undefined ? say("photoBad") : "");
  };
  const pick = (id: string, icon: IconName, word: string, camera: boolean) => (
    <label class="action plain pick">
      <Icon name={icon} />{word}
      <input id={id} type="file" accept="image/*" {...(camera && { capture: "environment" as const })} onChange={(e) => void take(e.currentTarget)} />
    </label>
  );
  const save = () => {
    if (data === undefined) setProblem(say("photoNone"));
    else onEnter(photo(batch, data, note.trim()));
  };
  return (
    <Sheet title={say("addPhoto")} onClose={onClose}>
      <div class="acts">
        {pick("camera", "camera", say("takePhoto"), true)}
        {pick("file", "paper", say("pickPhoto"), false)}
      </div>
      {data !== undefined && <div class="photo"><Drawn data={data} words={say("photo")} /></div>}
      <label class="field">
        <span>{say("photoNote")}</span>
        <textarea id="text" rows={2} maxLength={500} value={note} onInput={(e) => setNote(e.currentTarget.value)} />
      </label>
      <p class="pad-note" role="alert">{problem}</p>
      <button type="button" id="save" class="action primary" onClick={save}><Icon name="check" />{say("save")}</button>
    </Sheet>
  );
}
