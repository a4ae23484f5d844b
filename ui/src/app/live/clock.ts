import { Injectable, signal } from '@angular/core';

/** The time, once a second while the page is seen. */
@Injectable({ providedIn: 'root' })
export class Clock {
  readonly now = signal(Date.now());

  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.now.set(Date.now());
    }, 1000);
    document.addEventListener('visibilitychange', () => this.now.set(Date.now()));
  }
}
