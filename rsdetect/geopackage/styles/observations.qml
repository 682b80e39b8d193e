<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories" labelsEnabled="0">
  <temporal enabled="1" mode="1" startField="taken" endField="" durationField="" durationUnit="days" fixedDuration="0" accumulate="0" startExpression="" endExpression="">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
$renderer
$fields
  <previewExpression>"event_id" || ' ' || format_date("taken", 'yyyy-MM-dd')</previewExpression>
  <mapTip><![CDATA[<b>Event [% "event_id" %], [% coalesce(format_date("taken", 'yyyy-MM-dd'), '-') %]: [% "outcome" %]</b>
<table>
<tr><td>Ground observed</td><td>[% round(100 * "observed_share") %] %</td></tr>
<tr><td>of it changed</td><td>[% coalesce(round(100 * "changed_share") || ' %', '-') %]</td></tr>
<tr><td>Probability</td><td>[% coalesce(round(100 * "probability_mean") || ' %', '-') %]</td></tr>
<tr><td>Event</td><td>[% "status" || CASE WHEN "relation" = '' THEN '' ELSE ', ' || "relation" END %]</td></tr>
<tr><td>Scene</td><td>[% $scene %]</td></tr>
<tr><td>Compared with</td><td>[% $baseline %]</td></tr>
</table>]]></mapTip>
</qgis>
