import type { TimelineEntry } from '../api/schema';
import { wording } from '../api/words';

/** An id of an event, which says nothing to people. */
const EVENT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What brought an entry about, in words: the step that came from the same event before it, or whoever
 * asked for it. A fact that another service reported is its own cause, so nothing is said of it.
 */
export function because(entry: TimelineEntry, entries: readonly TimelineEntry[]): string | null {
  if (!entry.cause) return null;
  if (!EVENT.test(entry.cause)) return entry.cause;
  const before = entries.find(
    (other) => other.cause === entry.cause && other.sequence < entry.sequence,
  );
  return before ? wording(before.step) : null;
}
