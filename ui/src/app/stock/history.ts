import type { JournalEntry } from '../api/schema';

/** The level over time, as a chart wants it. */
export interface History {
  times: number[];
  onHand: number[];
  available: number[];
}

/**
 * The balances of journal entries, newest first as the journal gives them, in the sequence of time.
 * Several locations add up: each keeps its last balance until its next entry.
 */
export function historyOf(entries: readonly JournalEntry[], safety: number, now: number): History {
  const history: History = { times: [], onHand: [], available: [] };
  const last = new Map<string, JournalEntry['balances']>();
  for (const entry of [...entries].reverse()) {
    last.set(entry.location, entry.balances);
    let onHand = 0;
    let promised = 0;
    for (const balance of last.values()) {
      onHand += balance.onHand;
      promised += balance.held + balance.allocated + balance.quarantined;
    }
    const time = Date.parse(entry.at) / 1000;
    // Entries of one commit have one time: the last of them stands.
    if (history.times.at(-1) === time) {
      history.times.pop();
      history.onHand.pop();
      history.available.pop();
    }
    history.times.push(time);
    history.onHand.push(onHand);
    history.available.push(onHand - promised - safety);
  }
  const end = history.times.length - 1;
  if (end >= 0) {
    history.times.push(Math.max(now / 1000, (history.times[end] ?? 0) + 1));
    history.onHand.push(history.onHand[end] ?? 0);
    history.available.push(history.available[end] ?? 0);
  }
  return history;
}
