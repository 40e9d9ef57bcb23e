/** All words of the page, Indonesian first. English has the same keys, which the compiler checks. {x} is filled in by say. */

export type Language = "id" | "en";

const id = {
  title: "Kentongan – tampilan langsung",
  kitchen: "Dapur",
  language: "Bahasa",
  signOut: "Keluar",
  signOutFailed: "Tidak bisa keluar di sini. Keluarlah lewat aplikasi Anda.",

  connected: "Terhubung",
  connecting: "Menghubungkan",
  disconnected: "Terputus",
  lastMessage: "Pesan terakhir {age}",
  noMessage: "Belum ada pesan",
  staleBanner: "Terputus – data pukul {time}",
  neverFresh: "Terputus – belum ada data",
  serverStale: "Data mungkin tidak terbaru: server tidak menerima kabar sejak pukul {time}",
  retryIn: "Mencoba lagi dalam {n} detik",
  retrying: "Sedang mencoba lagi …",
  endedBanner: "Server menutup sambungan: {reason} ({code}). Muat ulang halaman untuk mencoba lagi.",
  noReason: "tanpa alasan",
  reload: "Muat ulang",

  now: "baru saja",
  seconds: "{n} detik lalu",
  minutes: "{n} menit lalu",
  hours: "{n} jam lalu",
  days: "{n} hari lalu",
  clock: "pukul {time}",

  productions: "Produksi",
  noProductions: "Belum ada produksi yang dilaporkan.",
  PLANNED: "Direncanakan",
  PREPARING: "Persiapan",
  COOKING: "Memasak",
  QUALITY_CHECK: "Pemeriksaan Kualitas",
  COMPLETED: "Selesai",
  CANCELLED: "Dibatalkan",
  unknownStatus: "Status tidak diketahui",
  progress: "Kemajuan",
  portions: "Porsi",
  coreTemperature: "Suhu inti",
  target: "target {n} °C",
  eatBy: "Layak sampai pukul",
  changed: "Berubah {age}",
  doubtful: "Mungkin sudah berubah",

  alerts: "Peringatan",
  noAlerts: "Tidak ada peringatan terbuka.",
  LOW: "Rendah",
  MEDIUM: "Sedang",
  HIGH: "Tinggi",
  CRITICAL: "Kritis",
  unknownSeverity: "Tingkat tidak diketahui",
  acknowledged: "Diketahui",
  limit: "batas {n}",

  channels: "Kanal",
  allChannels: "Semua kanal",
  messages: "Pesan",
  messagesCount: "{n} pesan",
  noMessages: "Pesan muncul di sini begitu datang.",
  pause: "Jeda",
  resume: "Lanjutkan ({n} baru)",
  gap: "Mungkin ada pesan yang terlewat di sini ({cause})",
  gapCause_expired: "riwayat tidak cukup jauh",
  gapCause_epoch: "riwayat dimulai ulang",
  gapCause_ahead: "riwayat hilang",
  gapCause_intake: "sambungan dari aplikasi terputus",
  "gapCause_no-history": "kanal tanpa riwayat",
  gapCause_overloaded: "server kewalahan",
  gapCause_other: "sebab tidak diketahui",
  refused: "Ditolak: {reason}",

  signedOutTitle: "Anda belum masuk",
  signedOutText: "Tampilan ini hanya untuk orang dapur itu sendiri. Ada dua cara untuk masuk:",
  signedOutApp: "Masuk ke aplikasi dapur di alamat yang sama, lalu kembali ke halaman ini.",
  signedOutLink: "Atau buka tautan masuk yang dicetak server di terminal (mode demo).",
  forbiddenTitle: "Akun ini tidak punya dapur",
  forbiddenText: "Anda sudah masuk, tetapi akun Anda tidak terikat pada satu dapur (SPPG). Minta admin SPPG menambahkan Anda, lalu masuk lagi.",
  refusedTitle: "Server menolak halaman ini",
  refusedText: "Anda mungkin sudah masuk, tetapi server tidak menerima halaman dari alamat atau peramban ini. Buka lewat https dengan peramban yang baru, atau minta operator memeriksa asal (origin) yang diizinkan.",
  chooseTitle: "Pilih dapur",
  chooseText: "Peran Anda boleh melihat semua dapur, dan setiap kunjungan dicatat. Tulis id dapur (SPPG):",
  chooseLabel: "Id dapur",
  chooseHint: "Huruf, angka, _ dan -, paling banyak 64",
  chooseButton: "Lihat dapur",
  tryAgain: "Coba lagi",
};

export type Word = keyof typeof id;

const en: Readonly<Record<Word, string>> = {
  title: "Kentongan – live view",
  kitchen: "Kitchen",
  language: "Language",
  signOut: "Sign out",
  signOutFailed: "You cannot sign out here. Please sign out in your app.",

  connected: "Connected",
  connecting: "Connecting",
  disconnected: "Disconnected",
  lastMessage: "Last message {age}",
  noMessage: "No message yet",
  staleBanner: "Disconnected – data as of {time}",
  neverFresh: "Disconnected – no data yet",
  serverStale: "Data may be stale: the server has heard nothing since {time}",
  retryIn: "Trying again in {n} s",
  retrying: "Trying again …",
  endedBanner: "The server closed the connection: {reason} ({code}). Reload the page to try again.",
  noReason: "no reason given",
  reload: "Reload",

  now: "just now",
  seconds: "{n} s ago",
  minutes: "{n} min ago",
  hours: "{n} h ago",
  days: "{n} d ago",
  clock: "{time}",

  productions: "Production",
  noProductions: "No production has been reported yet.",
  PLANNED: "Planned",
  PREPARING: "Preparing",
  COOKING: "Cooking",
  QUALITY_CHECK: "Quality check",
  COMPLETED: "Completed",
  CANCELLED: "Cancelled",
  unknownStatus: "Status unknown",
  progress: "Progress",
  portions: "Portions",
  coreTemperature: "Core temperature",
  target: "target {n} °C",
  eatBy: "Eat by",
  changed: "Changed {age}",
  doubtful: "May have changed",

  alerts: "Alerts",
  noAlerts: "No open alerts.",
  LOW: "Low",
  MEDIUM: "Medium",
  HIGH: "High",
  CRITICAL: "Critical",
  unknownSeverity: "Severity unknown",
  acknowledged: "Acknowledged",
  limit: "limit {n}",

  channels: "Channels",
  allChannels: "All channels",
  messages: "Messages",
  messagesCount: "{n} messages",
  noMessages: "Messages appear here as they come.",
  pause: "Pause",
  resume: "Resume ({n} new)",
  gap: "Messages may be missing here ({cause})",
  gapCause_expired: "the history does not reach back far enough",
  gapCause_epoch: "the history started anew",
  gapCause_ahead: "the history was lost",
  gapCause_intake: "the line from the app broke",
  "gapCause_no-history": "this channel keeps no history",
  gapCause_overloaded: "the server could not keep up",
  gapCause_other: "cause unknown",
  refused: "Refused: {reason}",

  signedOutTitle: "You are not signed in",
  signedOutText: "This view is only for the people of the kitchen itself. There are two ways to sign in:",
  signedOutApp: "Sign in to the kitchen's app on this same host, then come back to this page.",
  signedOutLink: "Or open the sign-in link that the server printed in its terminal (demo mode).",
  forbiddenTitle: "This account has no kitchen",
  forbiddenText: "You are signed in, but your account belongs to no kitchen (SPPG). Ask the SPPG's admin to add you, then sign in again.",
  refusedTitle: "The server refuses this page",
  refusedText: "You may be signed in, but the server does not take pages from this address or browser. Open it by https with a recent browser, or ask the operator to check the allowed origins.",
  chooseTitle: "Choose a kitchen",
  chooseText: "Your role may look into every kitchen, and each visit is logged. Write the id of a kitchen (SPPG):",
  chooseLabel: "Kitchen id",
  chooseHint: "Letters, digits, _ and -, 64 at most",
  chooseButton: "View kitchen",
  tryAgain: "Try again",
};

const catalogue: Readonly<Record<Language, Readonly<Record<Word, string>>>> = { id, en };

/** Returns a word with its {places} filled in. A place without a value stays as it is, so that a mistake is seen. */
export function say(language: Language, word: Word, values: Readonly<Record<string, string | number>> = {}): string {
  return catalogue[language][word].replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

/** Returns the words for the cause of a gap. */
export function sayCause(language: Language, cause: string): string {
  const word = `gapCause_${cause}`;
  return say(language, Object.prototype.hasOwnProperty.call(id, word) ? (word as Word) : "gapCause_other");
}

/** Returns all words of a language, for tests of the catalogue. */
export function words(language: Language): Readonly<Record<Word, string>> {
  return catalogue[language];
}
