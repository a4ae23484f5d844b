import { computed, Injectable, signal } from '@angular/core';

export type ThemeChoice = 'auto' | 'light' | 'dark';

const KEY = 'millrace.theme';
const NEXT: Record<ThemeChoice, ThemeChoice> = { auto: 'light', light: 'dark', dark: 'auto' };

/** Light, dark, or as the system has it. `theme.js` sets it before the first paint. */
@Injectable({ providedIn: 'root' })
export class Theme {
  readonly choice = signal<ThemeChoice>(stored());
  private readonly systemIsDark = signal(matchMedia('(prefers-color-scheme: dark)').matches);
  readonly isDark = computed(() =>
    this.choice() === 'auto' ? this.systemIsDark() : this.choice() === 'dark',
  );

  constructor() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) =>
      this.systemIsDark.set(event.matches),
    );
  }

  next(): void {
    const choice = NEXT[this.choice()];
    if (choice === 'auto') {
      localStorage.removeItem(KEY);
      delete document.documentElement.dataset['theme'];
    } else {
      localStorage.setItem(KEY, choice);
      document.documentElement.dataset['theme'] = choice;
    }
    this.choice.set(choice);
  }
}

function stored(): ThemeChoice {
  const text = localStorage.getItem(KEY);
  return text === 'light' || text === 'dark' ? text : 'auto';
}
