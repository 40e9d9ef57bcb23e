/**
 * Who may do what, for deciding which buttons a person sees. The server decides again, by its own table (production/role.go); a
 * button that is missing here protects nothing, and one too many is refused in words.
 */

export const ROLES = [
  "PLATFORM_SUPERADMIN", "PLATFORM_SUPPORT", "SPPG_KEPALA", "SPPG_ADMIN", "SPPG_AHLI_GIZI", "SPPG_AKUNTAN", "SPPG_PRODUKSI_MANAGER",
  "SPPG_DISTRIBUSI_MANAGER", "SPPG_STAFF_DAPUR", "SPPG_STAFF_QC", "SPPG_VIEWER",
] as const;
export type Role = (typeof ROLES)[number];

export type Right =
  | "work" | "measure" | "check" | "release" | "rework" | "cancel-planned" | "cancel-later" | "acknowledge" | "acknowledge-cost"
  | "resolve-high" | "resolve-critical" | "dispatch" | "export";

const HEAD = "SPPG_KEPALA";
const ADMIN = "SPPG_ADMIN";
const NUTRITIONIST = "SPPG_AHLI_GIZI";
const ACCOUNTANT = "SPPG_AKUNTAN";
const MANAGER = "SPPG_PRODUKSI_MANAGER";
const DISTRIBUTION = "SPPG_DISTRIBUSI_MANAGER";
const STAFF = "SPPG_STAFF_DAPUR";
const QC = "SPPG_STAFF_QC";

const TABLE: Readonly<Record<Right, readonly Role[]>> = {
  work: [HEAD, MANAGER, STAFF],
  measure: [HEAD, NUTRITIONIST, MANAGER, STAFF, QC],
  check: [HEAD, NUTRITIONIST, MANAGER, QC],
  release: [HEAD, NUTRITIONIST, QC],
  rework: [HEAD, NUTRITIONIST, MANAGER, QC],
  "cancel-planned": [HEAD, ADMIN, MANAGER],
  "cancel-later": [HEAD, NUTRITIONIST, MANAGER, QC],
  acknowledge: [HEAD, ADMIN, NUTRITIONIST, MANAGER, DISTRIBUTION, STAFF, QC],
  "acknowledge-cost": [HEAD, ADMIN, NUTRITIONIST, ACCOUNTANT, MANAGER, DISTRIBUTION, STAFF, QC],
  "resolve-high": [HEAD, NUTRITIONIST, MANAGER, QC],
  "resolve-critical": [HEAD, NUTRITIONIST],
  dispatch: [HEAD, MANAGER, DISTRIBUTION],
  export: ["PLATFORM_SUPERADMIN", "PLATFORM_SUPPORT", HEAD, ADMIN, NUTRITIONIST, ACCOUNTANT, MANAGER, QC],
};

/** Reports whether a role has a right. A role that is not known has none. */
export function may(role: string | undefined, right: Right): boolean {
  return TABLE[right].some((r) => r === role);
}

/** Reports whether this is a device that people share: it acts for itself, and needs a person's PIN for what only they may. */
export function isShared(role: string | undefined): boolean {
  return role === STAFF;
}
