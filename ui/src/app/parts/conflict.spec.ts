import { Problem } from '../api/problem';
import { clashes, resolved } from './conflict';
import { Edit } from './edit';

const LABELS = { name: 'Name', price: 'Price', text: 'Text' } as const;
const BEFORE = { name: 'Lamp', price: '54.50', text: '' };
const MINE = { ...BEFORE, price: '49.00', text: 'Folds' };
const THEIRS = { ...BEFORE, name: 'Lamp, warm', price: '59.00' };

describe('two edits of one thing', () => {
  it('clash only where both have changed it, and differently', () => {
    expect(clashes(LABELS, BEFORE, MINE, THEIRS)).toEqual([
      { field: 'price', label: 'Price', mine: '49.00', theirs: '59.00' },
    ]);
    expect(clashes(LABELS, BEFORE, MINE, MINE)).toEqual([]);
  });

  it('are laid together as the person chooses', () => {
    const both = { name: 'Lamp, warm', text: 'Folds' };
    expect(resolved(BEFORE, MINE, THEIRS, new Set())).toEqual({ ...both, price: '49.00' });
    expect(resolved(BEFORE, MINE, THEIRS, new Set(['price']))).toEqual({
      ...both,
      price: '59.00',
    });
  });
});

describe('a form over something that others change', () => {
  it('explains the conflict, and saves what was chosen under the new version', async () => {
    let stored = { draft: BEFORE, etag: '"1"' };
    const saved: string[] = [];
    const keys = new Set<string>();
    const edit = new Edit<typeof BEFORE, typeof BEFORE>(
      {
        labels: LABELS,
        draftOf: (thing) => thing,
        read: async () => ({ body: stored.draft, etag: stored.etag, status: 200 }),
        save: async (draft, etag, key) => {
          saved.push(etag);
          keys.add(key);
          if (etag !== stored.etag) throw new Problem(412, 'stale-version', 'Changed', '');
          return { body: draft, etag: '"3"', status: 200 };
        },
      },
      { name: '', price: '', text: '' },
    );
    await edit.start();
    edit.set('price', '49.00');
    edit.set('text', 'Folds');
    stored = { draft: THEIRS, etag: '"2"' };
    expect(await edit.save()).toBeNull();
    expect(edit.conflict()).toHaveLength(1);
    edit.keepTheirs.set(new Set(['price']));
    expect(await edit.save()).toEqual({ name: 'Lamp, warm', price: '59.00', text: 'Folds' });
    expect(saved).toEqual(['"1"', '"2"']);
    // Another request needs another key.
    expect(keys.size).toBe(2);
    expect(edit.conflict()).toBeNull();
  });

  it('keeps the key while the server cannot be reached', async () => {
    const keys: string[] = [];
    const edit = new Edit<typeof BEFORE, typeof BEFORE>(
      {
        labels: LABELS,
        draftOf: (thing) => thing,
        read: async () => ({ body: BEFORE, etag: '"1"', status: 200 }),
        save: async (_, __, key) => {
          keys.push(key);
          throw Problem.unreachable();
        },
      },
      BEFORE,
    );
    await edit.start();
    await edit.save();
    await edit.save();
    expect(keys[0]).toBe(keys[1]);
    expect(edit.problem()?.isPassing).toBe(true);
  });
});
