import { Injectable } from '@angular/core';

import { Problem } from './problem';
import { CALLS, type Calls } from './schema';

/** How long a call may take before it counts as unanswered, in milliseconds. */
const PATIENCE_MS = 15_000;

type Given<T> = [T] extends [undefined] ? unknown : T;

/** What a call takes, beside its body. */
export interface Sending<K extends keyof Calls> {
  path?: Calls[K]['path'];
  query?: Calls[K]['query'];
  body?: Given<Calls[K]['body']>;
  /** Sending again under the same key does it once. */
  key?: string;
  /** The entity tag of what was read; the change is refused if it has been changed since. */
  ifMatch?: string;
  /** Seconds to wait for the outcome. */
  wait?: number;
  signal?: AbortSignal;
}

/** An answer with the entity tag of what it shows. */
export interface Answer<T> {
  body: T;
  etag: string;
  status: number;
}

export type Answered<K extends keyof Calls> = Calls[K]['answer'];
export type Item<K extends keyof Calls> = Calls[K]['answer'] extends { items: (infer T)[] }
  ? T
  : never;

/** A new idempotency key: one for each thing that a person means to do once. */
export function newKey(): string {
  // `randomUUID` exists on secure origins only; a plain-HTTP host in a local net is none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return 'ui-' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The address of a call, with its path and query filled in. */
export function address(
  template: string,
  path: Record<string, unknown> = {},
  query: Record<string, unknown> = {},
): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(path[name])),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue;
    if (Array.isArray(value)) {
      if (value.length > 0) search.set(name, value.join(','));
    } else {
      search.set(name, String(value));
    }
  }
  const text = search.toString();
  return text ? `${filled}?${text}` : filled;
}

/** The REST API, typed by its own description. */
@Injectable({ providedIn: 'root' })
export class Api {
  /** The answer of a call. */
  async call<K extends keyof Calls>(id: K, sending: Sending<K> = {}): Promise<Answered<K>> {
    return (await this.ask(id, sending)).body;
  }

  /** The answer of a call, with its entity tag. */
  async ask<K extends keyof Calls>(id: K, sending: Sending<K> = {}): Promise<Answer<Answered<K>>> {
    const [method, template] = CALLS[id];
    const headers: Record<string, string> = { accept: 'application/json' };
    if (sending.body !== undefined) headers['content-type'] = 'application/json';
    if (method !== 'GET') headers['idempotency-key'] = sending.key ?? newKey();
    if (sending.ifMatch) headers['if-match'] = sending.ifMatch;
    if (sending.wait) headers['prefer'] = `wait=${sending.wait}`;
    const patience = AbortSignal.timeout(PATIENCE_MS + (sending.wait ?? 0) * 1000);
    const signal = sending.signal ? AbortSignal.any([sending.signal, patience]) : patience;
    const init: RequestInit = { method, headers, signal };
    if (sending.body !== undefined) init.body = JSON.stringify(sending.body);
    let response: Response;
    try {
      response = await fetch(address(template, sending.path ?? {}, sending.query ?? {}), init);
    } catch (error) {
      if (sending.signal?.aborted) throw error;
      throw Problem.unreachable();
    }
    if (!response.ok) throw await Problem.from(response);
    const body = (await response.json()) as Answered<K>;
    return { body, etag: response.headers.get('etag') ?? '', status: response.status };
  }
}
