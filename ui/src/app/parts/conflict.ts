import { ChangeDetectionStrategy, Component, input, model } from '@angular/core';

/** A field that two people have changed: what each of them made of it. */
export interface Clash {
  field: string;
  label: string;
  mine: string;
  theirs: string;
}

/**
 * The fields that both a person and somebody else have changed, to different ends. What only one of
 * the two has changed is no clash.
 */
export function clashes<T extends object>(
  labels: Readonly<Partial<Record<keyof T, string>>>,
  before: T,
  mine: T,
  theirs: T,
): Clash[] {
  return (Object.keys(labels) as (keyof T)[])
    .filter((field) => {
      const isByBoth = mine[field] !== before[field] && theirs[field] !== before[field];
      return isByBoth && mine[field] !== theirs[field];
    })
    .map((field) => ({
      field: String(field),
      label: labels[field] ?? String(field),
      mine: String(mine[field] ?? ''),
      theirs: String(theirs[field] ?? ''),
    }));
}

/** The edit laid over what stands on the server: only what the person has changed, or chosen. */
export function resolved<T extends object>(
  before: T,
  mine: T,
  theirs: T,
  keepTheirs: ReadonlySet<string>,
): T {
  const result = { ...theirs };
  for (const field of Object.keys(mine) as (keyof T)[]) {
    const isMine = mine[field] !== before[field] && !keepTheirs.has(String(field));
    if (isMine) result[field] = mine[field];
  }
  return result;
}

/** Explains that somebody else was faster, and lets the person choose field by field. */
@Component({
  selector: 'mr-conflict',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="conflict" role="alert">
    <p>
      Somebody has changed this while you were editing.
      @if (clashes().length) {
        Choose what shall stand, then save again.
      } @else {
        Their changes do not touch yours: save again to keep both.
      }
    </p>
    @for (clash of clashes(); track clash.field) {
      <fieldset>
        <legend>{{ clash.label }}</legend>
        <label class="choice">
          <input
            type="radio"
            [name]="'clash-' + clash.field"
            [checked]="!keepTheirs().has(clash.field)"
            (change)="choose(clash.field, false)"
          />
          <small>Yours</small>{{ clash.mine || '(empty)' }}
        </label>
        <label class="choice">
          <input
            type="radio"
            [name]="'clash-' + clash.field"
            [checked]="keepTheirs().has(clash.field)"
            (change)="choose(clash.field, true)"
          />
          <small>Theirs</small>{{ clash.theirs || '(empty)' }}
        </label>
      </fieldset>
    }
  </div>`,
})
export class Conflict {
  readonly clashes = input.required<readonly Clash[]>();
  /** The fields whose value on the server stays. */
  readonly keepTheirs = model.required<ReadonlySet<string>>();

  protected choose(field: string, isTheirs: boolean): void {
    const next = new Set(this.keepTheirs());
    if (isTheirs) next.add(field);
    else next.delete(field);
    this.keepTheirs.set(next);
  }
}
