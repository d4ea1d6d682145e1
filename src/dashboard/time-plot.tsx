import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { clockTime } from './format.ts';
import { plotOptions } from './plot-options.ts';
import { currentAndGreatest, type PlottedValue, type TimeSeries } from './time-series.ts';

const HEIGHT = 132;
/** A daemon that has just started does not fill the span: the plot grows with it, from this on. */
const SPAN_MIN_MS = 60_000;

/** One value over time. The text beside it says what the picture shows. */
export function TimePlot(props: {
  title: string;
  value: PlottedValue;
  series: TimeSeries;
  spanMs: number;
  format: (value: number) => string;
  /** The name of its custom property in the style sheet. */
  color: string;
}): JSX.Element {
  const { title, value, series, spanMs, format, color } = props;
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [cursor, setCursor] = useState<number | null>(null);
  const scheme = useColorScheme();

  const end = series.at.at(-1) ?? 0;
  const start = Math.min(Math.max(end - spanMs, series.at[0] ?? end), end - SPAN_MIN_MS);
  const { current, greatest } = currentAndGreatest(series, value, start);

  useEffect(() => {
    if (holder.current === null) return;
    const element = holder.current;
    const options = plotOptions({ element, height: HEIGHT, color, format, onCursor: setCursor });
    const created = new uPlot(options, [[], []], element);
    plot.current = created;
    const observer = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
    };
  }, [scheme, color, format]);

  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData([series.at, series[value]], false);
      plot.current?.setScale('x', { min: start, max: end });
    });
  }, [series, value, start, end, scheme]);

  const text = (one: number | null): string => (one === null ? 'unknown' : format(one));
  const pointed = cursor === null ? undefined : series.at[cursor];
  return (
    <figure class="plot">
      <figcaption>
        <span class="name">{title}</span>{' '}
        {pointed === undefined ? (
          <span class="reading">
            <strong>{text(current)}</strong> <span class="more">peak {text(greatest)}</span>
          </span>
        ) : (
          <span class="reading">
            <strong>{text(series[value][cursor ?? 0] ?? null)}</strong>{' '}
            <span class="more">at {clockTime(pointed, end)}</span>
          </span>
        )}
      </figcaption>
      <div
        class="canvas"
        ref={holder}
        role="img"
        aria-label={`Plot of ${title.toLowerCase()} over time: now ${text(current)}, peak ${text(greatest)}`}
      />
    </figure>
  );
}

/** `dark` or `light`, as the reader prefers. */
function useColorScheme(): string {
  const [isDark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const change = (): void => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return isDark ? 'dark' : 'light';
}
