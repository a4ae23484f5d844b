// After `ng build`: compresses what compresses, and refuses an initial load over its budget.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

/** What the first page may cost before anything shows, in bytes of brotli. */
const INITIAL_BYTES_MAX = 100 * 1024;
const DIST = new URL('../dist/', import.meta.url).pathname;

const options = (size) => ({
    params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: size,
    },
});

const sizes = new Map();
for (const name of readdirSync(DIST, { recursive: true })) {
    const path = join(DIST, name);
    if (!statSync(path).isFile() || name.endsWith('.br')) continue;
    const plain = readFileSync(path);
    const packed = /\.(js|css|html|svg|txt|json|webmanifest)$/.test(name)
        ? brotliCompressSync(plain, options(plain.length))
        : plain;
    if (packed.length < plain.length) writeFileSync(`${path}.br`, packed);
    sizes.set(name, Math.min(packed.length, plain.length));
}

// The initial load: the page, what it names, and what those name by static imports.
const initial = new Set(['index.html']);
const named = /(?:src|href)="([^":]+\.(?:js|css))"/g;
for (const [, name] of readFileSync(join(DIST, 'index.html'), 'utf8').matchAll(named)) {
    initial.add(name);
}
for (const name of initial) {
    if (!name.endsWith('.js')) continue;
    const text = readFileSync(join(DIST, name), 'utf8');
    for (const [, other] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g))
        initial.add(other);
}

const total = [...initial].reduce((sum, name) => sum + sizes.get(name), 0);
const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`initial load ${kilobytes(total)} brotli of ${kilobytes(INITIAL_BYTES_MAX)}:`);
for (const name of initial) console.log(`  ${kilobytes(sizes.get(name)).padStart(9)}  ${name}`);
console.log(`everything ${kilobytes(all)} brotli in ${sizes.size} files`);
if (total > INITIAL_BYTES_MAX) {
    console.error(`the initial load is over its budget: load more of it lazily`);
    process.exit(1);
}
