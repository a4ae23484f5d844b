import type { OrderStatus, TimelineEntry, Transition } from '../api/schema';

/** A state as a box on the map. */
export interface Box {
  status: OrderStatus;
  x: number;
  y: number;
}

/** A move between two boxes. */
export interface Edge {
  from: OrderStatus;
  to: OrderStatus;
  path: string;
  isTaken: boolean;
  /** The move back exists as well: one line stands for both. */
  isBoth: boolean;
  /** What moves an order along it. */
  facts: string[];
}

export const BOX_WIDTH = 118;
export const BOX_HEIGHT = 34;
export const MAP_WIDTH = 972;
export const MAP_HEIGHT = 264;

/** The way of an order without trouble runs through the middle, from left to right. */
export const BOXES: readonly Box[] = [
  { status: 'placed', x: 66, y: 131 },
  { status: 'reserved', x: 234, y: 131 },
  { status: 'paying', x: 402, y: 131 },
  { status: 'confirmed', x: 570, y: 131 },
  { status: 'fulfilling', x: 738, y: 131 },
  { status: 'completed', x: 906, y: 131 },
  { status: 'awaiting_decision', x: 150, y: 36 },
  { status: 'on_hold', x: 486, y: 36 },
  { status: 'expired', x: 66, y: 226 },
  { status: 'rejected', x: 234, y: 226 },
  { status: 'cancelling', x: 486, y: 226 },
  { status: 'cancelled', x: 654, y: 226 },
];

/** The states an order has been in, in their sequence, and the moves between them. */
export function pathOf(timeline: readonly TimelineEntry[]): OrderStatus[] {
  const path: OrderStatus[] = [];
  for (const entry of timeline) {
    if (entry.to && entry.to !== path.at(-1)) path.push(entry.to);
  }
  return path;
}

/** Every move of the table between two different states, and whether the order took it. */
export function edges(table: readonly Transition[], path: readonly OrderStatus[]): Edge[] {
  const taken = new Set(path.slice(1).map((to, index) => `${path[index]} ${to}`));
  const facts = new Map<string, { from: OrderStatus; to: OrderStatus; facts: string[] }>();
  for (const { from, to, fact } of table) {
    if (from === to) continue;
    const key = `${from} ${to}`;
    const known = facts.get(key);
    if (known) known.facts.push(fact);
    else facts.set(key, { from, to, facts: [fact] });
  }
  // A step of the timeline may pass through states in one piece; what was taken is always drawn.
  for (const key of taken) {
    const [from, to] = key.split(' ') as [OrderStatus, OrderStatus];
    if (!facts.has(key)) facts.set(key, { from, to, facts: [] });
  }
  const places = new Map(BOXES.map((box) => [box.status, box]));
  return [...facts.entries()]
    .flatMap(([key, edge]) => {
      const from = places.get(edge.from);
      const to = places.get(edge.to);
      if (!from || !to) return [];
      const isTaken = taken.has(key);
      const back = `${edge.to} ${edge.from}`;
      const isBoth = facts.has(back);
      // There and back is one line, unless the order took one of the two.
      if (isBoth && !isTaken && (taken.has(back) || back < key)) return [];
      return [{ ...edge, path: line(from, to), isTaken, isBoth: isBoth && !isTaken }];
    })
    .sort((one, other) => Number(one.isTaken) - Number(other.isTaken));
}

/** A line from the border of one box to the border of another. */
function line(from: Box, to: Box): string {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const start = border(from, dx, dy, 6);
  const end = border(to, -dx, -dy, 6);
  const point = ([x, y]: [number, number]): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
  // Along the upper row there is nothing between.
  if (dy === 0 && from.y < MAP_HEIGHT / 3) return `M${point(start)}L${point(end)}`;
  // A long level move would run through the boxes between: it goes around them.
  if (dy === 0 && Math.abs(dx) > 200) {
    const lift = from.y - BOX_HEIGHT / 2 - 26;
    const top = from.y - BOX_HEIGHT / 2;
    const side = Math.sign(dx) * 20;
    return `M${from.x + side} ${top - 2}Q${(from.x + to.x) / 2} ${lift - 18} ${to.x - side} ${top - 7}`;
  }
  return `M${point(start)}L${point(end)}`;
}

function border(box: Box, dx: number, dy: number, gap: number): [number, number] {
  const scale = Math.min(
    (BOX_WIDTH / 2 + gap) / Math.abs(dx || 1e-9),
    (BOX_HEIGHT / 2 + gap) / Math.abs(dy || 1e-9),
  );
  return [box.x + dx * scale, box.y + dy * scale];
}
