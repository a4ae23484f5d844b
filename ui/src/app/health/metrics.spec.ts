import { bytes, checksOf, consumersOf, readMetrics } from './metrics';

describe('metrics', () => {
  const metrics = readMetrics(
    [
      '# HELP millrace_orders_open Open orders.',
      'millrace_orders_open 12',
      'millrace_x_bucket{le="+Inf"} 3',
      'millrace_consumer_events_total{consumer="order"} 900',
      'millrace_consumer_blocked_keys{consumer="order"} 1',
      '# EOF',
      '',
    ].join('\n'),
  );

  it('are read from their text', () => {
    expect(metrics.get('millrace_orders_open')).toBe(12);
    expect(metrics.get('millrace_x_bucket{le="+Inf"}')).toBe(3);
    expect(metrics.size).toBe(4);
  });

  it('tell what each consumer has heard', () => {
    expect(consumersOf(metrics)).toEqual([
      { name: 'order', handled: 900, failures: 0, blocked: 1 },
    ]);
  });

  it('say sizes in the unit that fits', () => {
    expect([2048, 69_730_304, 3 * 1024 ** 3].map(bytes)).toEqual(['2 KiB', '66.5 MiB', '3.00 GiB']);
  });

  it('take an audit report without checks for one without', () => {
    expect(checksOf({ violations: [] })).toEqual([]);
    expect(checksOf({ checks: [{ id: 'EV-1' }] })).toHaveLength(1);
  });
});
