import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { bytesPerSecond, duration, perSecond } from './format.ts';
import { Section } from './section.tsx';
import { TimePlot } from './time-plot.tsx';
import type { TimeSeries } from './time-series.ts';

const SPANS = [
  { minutes: 5, label: '5 min' },
  { minutes: 15, label: '15 min' },
  { minutes: 60, label: '1 h' },
];

/** Lag, events and bytes over time. */
export function FlowPlots({ series }: { series: TimeSeries }): JSX.Element {
  const [minutes, setMinutes] = useState(15);
  const spans = (
    <fieldset class="spans">
      <legend class="visually-hidden">Time span of the plots</legend>
      {SPANS.map((span) => (
        <label key={span.minutes}>
          <input
            type="radio"
            name="span"
            checked={span.minutes === minutes}
            onChange={() => setMinutes(span.minutes)}
          />
          <span>{span.label}</span>
        </label>
      ))}
    </fieldset>
  );
  const shared = { series, spanMs: minutes * 60_000 };
  return (
    <Section id="flow" title="Flow" aside={spans}>
      <div class="plots">
        <TimePlot title="Lag" value="lagSeconds" format={duration} color="--plot-lag" {...shared} />
        <TimePlot title="Events read" value="eventsPerSecond" format={perSecond} color="--plot-events" {...shared} />
        <TimePlot
          title="Bytes acknowledged"
          value="bytesPerSecond"
          format={bytesPerSecond}
          color="--plot-bytes"
          {...shared}
        />
      </div>
    </Section>
  );
}
