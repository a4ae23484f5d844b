import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

import type { OrderStatus, TimelineEntry, Transition } from '../api/schema';
import { wording } from '../api/words';
import { BOX_HEIGHT, BOX_WIDTH, BOXES, edges, MAP_HEIGHT, MAP_WIDTH, pathOf } from './machine-map';

/** The state machine of orders, with the path that one of them took. */
@Component({
  selector: 'mr-machine',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="machine-wrap" tabindex="0" role="group" aria-label="State machine">
    <svg
      class="machine"
      role="img"
      [attr.viewBox]="'0 0 ' + width + ' ' + height"
      [attr.aria-label]="told()"
    >
      <defs>
        <marker
          id="tip"
          viewBox="0 0 8 8"
          refX="5"
          refY="4"
          markerWidth="6"
          markerHeight="6"
          orient="auto-start-reverse"
        >
          <path d="M0 0.500L7 4 0 7.500z" />
        </marker>
        <marker
          id="tip-taken"
          class="taken"
          viewBox="0 0 8 8"
          refX="5"
          refY="4"
          markerWidth="5"
          markerHeight="5"
          orient="auto-start-reverse"
        >
          <path d="M0 0.500L7 4 0 7.500z" />
        </marker>
      </defs>
      @for (edge of moves(); track edge.from + edge.to) {
        <path
          class="edge"
          [class.taken]="edge.isTaken"
          [attr.d]="edge.path"
          [attr.marker-end]="edge.isTaken ? 'url(#tip-taken)' : 'url(#tip)'"
          [attr.marker-start]="edge.isBoth ? 'url(#tip)' : null"
        >
          <svg:title>{{ edge.from }} → {{ edge.to }}: {{ edge.facts.join(', ') }}</svg:title>
        </path>
      }
      @for (box of boxes(); track box.status) {
        <g
          class="state"
          [class.passed]="box.isPassed"
          [class.now]="box.isNow"
          [class.next]="box.isNext"
          [attr.transform]="'translate(' + box.x + ' ' + box.y + ')'"
        >
          <rect
            [attr.x]="-boxWidth / 2"
            [attr.y]="-boxHeight / 2"
            [attr.width]="boxWidth"
            [attr.height]="boxHeight"
            rx="8"
          />
          <text>{{ box.name }}</text>
        </g>
      }
    </svg>
  </div>`,
})
export class Machine {
  readonly table = input.required<readonly Transition[]>();
  readonly timeline = input.required<readonly TimelineEntry[]>();
  readonly now = input.required<OrderStatus>();
  protected readonly width = MAP_WIDTH;
  protected readonly height = MAP_HEIGHT;
  protected readonly boxWidth = BOX_WIDTH;
  protected readonly boxHeight = BOX_HEIGHT;

  protected readonly path = computed(() => pathOf(this.timeline()));
  protected readonly moves = computed(() => edges(this.table(), this.path()));
  protected readonly boxes = computed(() => {
    const passed = new Set(this.path());
    const next = new Set(
      this.table()
        .filter((move) => move.from === this.now() && move.to !== this.now())
        .map((move) => move.to),
    );
    return BOXES.map((box) => ({
      ...box,
      name: wording(box.status),
      isPassed: passed.has(box.status),
      isNow: box.status === this.now(),
      isNext: next.has(box.status),
    }));
  });
  protected readonly told = computed(
    () =>
      `The path taken: ${this.path().map(wording).join(', then ')}. Now: ${wording(this.now())}.`,
  );
}
