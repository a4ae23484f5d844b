/** Reads the text format of Prometheus: the value of each series, by its name and labels. */
export function readMetrics(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    const value = Number(line.slice(space + 1));
    if (space > 0 && !Number.isNaN(value)) values.set(line.slice(0, space), value);
  }
  return values;
}

/** Bytes in the unit that fits. */
export function bytes(size: number): string {
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} KiB`;
  if (size < 1024 ** 3) return `${(size / 1024 ** 2).toFixed(1)} MiB`;
  return `${(size / 1024 ** 3).toFixed(2)} GiB`;
}

export interface Consumer {
  name: string;
  handled: number;
  failures: number;
  blocked: number;
}

/** The consumers that the metrics tell of. */
export function consumersOf(metrics: ReadonlyMap<string, number>): Consumer[] {
  const pattern = /^millrace_consumer_events_total\{consumer="(\w+)"\}$/;
  return [...metrics.keys()].flatMap((key) => {
    const name = pattern.exec(key)?.[1];
    if (!name) return [];
    const value = (what: string): number =>
      metrics.get(`millrace_consumer_${what}{consumer="${name}"}`) ?? 0;
    return [
      {
        name,
        handled: value('events_total'),
        failures: value('failures_total'),
        blocked: value('blocked_keys'),
      },
    ];
  });
}

/** What the auditor answers, as far as it is shown. */
export interface Check {
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
