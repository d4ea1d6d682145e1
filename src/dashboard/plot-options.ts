import type uPlot from 'uplot';

/** How a plot looks. Its colours are those of the style sheet at this moment. */
export function plotOptions(options: {
  element: HTMLElement;
  height: number;
  /** The name of a custom property. */
  color: string;
  format: (value: number) => string;
  onCursor: (index: number | null) => void;
}): uPlot.Options {
  const { element, height, format, onCursor } = options;
  const style = getComputedStyle(element);
  const property = (name: string): string => style.getPropertyValue(name).trim();
  const color = property(options.color);
  const axis: uPlot.Axis = {
    stroke: property('--text-soft'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: property('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height,
    ms: 1,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, sync: { key: 'flow' }, points: { size: 7 } },
    scales: {
      x: { time: true },
      // From zero on, and never so near to zero that noise fills the plot.
      y: { range: (_, __, greatest) => [0, Math.max(1, (greatest ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map(timeOfDay(ticks)) },
      {
        ...axis,
        size: 64,
        space: 36,
        gap: 8,
        values: (_, ticks) => ticks.map((tick) => withoutZeros(format(tick))),
      },
    ],
    series: [{}, { stroke: color, width: 1.5, fill: `${color}22`, points: { show: false }, spanGaps: false }],
    hooks: {
      setCursor: [
        (plot) => onCursor(plot.cursor.left === undefined || plot.cursor.left < 0 ? null : (plot.cursor.idx ?? null)),
      ],
    },
  };
}

/** `2.50 k/s` as `2.5 k/s`. */
const withoutZeros = (text: string): string => text.replace(/(\.\d*?)0+(?= )/, '$1').replace(/\.(?= )/, '');

/** Hours and minutes; seconds too if the ticks are closer than a minute. */
function timeOfDay(ticks: readonly number[]): (tick: number) => string {
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  const style: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' };
  if (step % 60_000 !== 0) style.second = '2-digit';
  return (tick) => new Date(tick).toLocaleTimeString('en-GB', style);
}
