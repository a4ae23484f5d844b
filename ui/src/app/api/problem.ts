import type { FieldError, Problem as ProblemDetails } from './schema';

/** What an answer may carry beside the members of RFC 9457. */
interface Extended extends ProblemDetails {
  currentVersion?: number;
  nextActions?: string[];
}

/** A refusal of the server, or the lack of any answer, as one kind of error. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    /** The HTTP status; 0 if there was no answer at all. */
    readonly status: number,
    /** The stable name, such as `stale-version`. */
    readonly slug: string,
    readonly title: string,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
    readonly requestId = '',
    readonly nextActions: readonly string[] = [],
  ) {
    super(detail || title);
  }

  /** The server could not be reached, or cannot serve just now: the same request may be sent again. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }

  /** What was read has been changed by somebody else since. */
  get isConflict(): boolean {
    return this.status === 412 || this.slug === 'expectation-failed';
  }

  static unreachable(): Problem {
    return new Problem(
      0,
      'unreachable',
      'The server cannot be reached',
      'Nothing was lost; this is tried again as soon as it answers.',
    );
  }

  static async from(response: Response): Promise<Problem> {
    const text = await response.text().catch(() => '');
    let said: Partial<Extended> = {};
    try {
      said = JSON.parse(text) as Partial<Extended>;
    } catch {
      // A proxy in between may answer with a page of its own; the status says enough.
    }
    return new Problem(
      response.status,
      (said.type ?? '').split('/').pop() || 'unknown',
      said.title ?? `The server answered ${response.status}`,
      said.detail ?? '',
      said.errors ?? [],
      said.requestId ?? response.headers.get('x-request-id') ?? '',
      said.nextActions ?? [],
    );
  }

  /** Any error as a problem, so that every place can show every error. */
  static of(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const detail = error instanceof Error ? error.message : String(error);
    return new Problem(-1, 'client', 'Something went wrong on this page', detail);
  }
}
