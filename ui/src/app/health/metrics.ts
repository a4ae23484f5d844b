import type { ProcessHealth } from '../api/schema';

/** The sum of a metric over the processes that have it; null if nobody has. */
export function sumOf(processes: readonly ProcessHealth[], metric: string): number | null {
  const values = processes.flatMap(({ metrics }) => metrics[metric] ?? []);
  return values.length ? values.reduce((sum, value) => sum + value, 0) : null;
}

/** Bytes in the unit that fits. */
export function bytes(size: number): string {
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} KiB`;
  if (size < 1024 ** 3) return `${(size / 1024 ** 2).toFixed(1)} MiB`;
  return `${(size / 1024 ** 3).toFixed(2)} GiB`;
}

/** A service, or another part of a process that runs many. */
export interface Service {
  name: string;
  ok: boolean;
  /** What is wrong with it. */
  troubles: string[];
  handled: number | null;
  /** How old the newest event was when it was handled, in seconds. */
  delay: number | null;
  failures: number | null;
  blocked: number | null;
}

/** Every service of the system, whichever process runs it. */
export function servicesOf(processes: readonly ProcessHealth[]): Service[] {
  return processes.flatMap((process) => {
    const isAlone = process.services.length === 1;
    const others = process.parts.filter(({ name }) => !process.services.includes(name));
    // What a process runs beside its only service is told by that service's row.
    const names = [...process.services, ...(isAlone ? [] : others.map(({ name }) => name))];
    return names.map((name) => {
      const parts = isAlone ? process.parts : process.parts.filter((part) => part.name === name);
      const value = (what: string): number | null =>
        process.metrics[`millrace_consumer_${what}{consumer="${name}"}`] ?? null;
      const troubles = parts.filter((part) => !part.ok).map(({ detail }) => detail);
      const isUp = process.status === 'ready' || process.status === 'degraded';
      return {
        name,
        ok: troubles.length === 0 && (isUp || !isAlone),
        troubles,
        handled: value('events_total'),
        delay: value('delay_seconds'),
        failures: value('failures_total'),
        blocked: value('blocked_keys'),
      };
    });
  });
}

/** The versions that run, each once; more than one while a system is updated. */
export function versionsOf(processes: readonly ProcessHealth[]): string[] {
  return [...new Set(processes.map(({ version }) => version).filter(Boolean))].sort();
}

/** What the auditor answers, as far as it is shown. */
export interface Check {
  /** The service that checked its own tables, where each has its own. */
  service?: string;
  id: string;
  states: string;
  checked: number;
  violations: number;
  millis: number;
}

/** The checks in an audit report, whatever else it holds. */
export function checksOf(report: unknown): Check[] {
  const checks = (report as { checks?: unknown }).checks;
  return Array.isArray(checks) ? (checks as Check[]) : [];
}

/** Whether each service has checked only what is its own. */
export function isPartial(report: unknown): boolean {
  return (report as { partial?: unknown }).partial === true;
}
