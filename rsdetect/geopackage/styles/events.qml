<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories" labelsEnabled="1">
  <temporal enabled="1" mode="2" startField="first_seen" endField="resolved_on" durationField="" durationUnit="days" fixedDuration="0" accumulate="0" startExpression="" endExpression="">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
$renderer
$labeling
$fields
  <previewExpression>'Event ' || "event_id"</previewExpression>
  <mapTip><![CDATA[<b>Event [% "event_id" %]: [% "status" %]</b>
<table>
<tr><td>Kind</td><td>[% coalesce("kind", '-') %]</td></tr>
<tr><td>First seen</td><td>[% coalesce(format_date("first_seen", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Confirmed</td><td>[% coalesce(format_date("confirmed_on", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Last seen</td><td>[% coalesce(format_date("last_seen", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Resolved</td><td>[% coalesce(format_date("resolved_on", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Seen</td><td>[% "seen" || ' of ' || "observations" || ' valid observations' %]</td></tr>
<tr><td>Probability</td><td>[% round(100 * "probability_mean") %] %</td></tr>
<tr><td>Area</td><td>[% $area %]</td></tr>
</table>]]></mapTip>
</qgis>
