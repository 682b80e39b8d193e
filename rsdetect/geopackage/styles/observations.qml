<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories" labelsEnabled="0">
  <temporal enabled="1" mode="1" startField="taken" endField="" durationField="" durationUnit="days" fixedDuration="0" accumulate="0" startExpression="" endExpression="">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
  <renderer-v2 type="categorizedSymbol" attr="outcome" symbollevels="0" enableorderby="0" forceraster="0">
    <categories>
      <category render="true" symbol="0" value="seen" label="seen" type="string"/>
      <category render="true" symbol="1" value="not seen" label="not seen" type="string"/>
      <category render="true" symbol="2" value="unobserved" label="unobserved" type="string"/>
    </categories>
    <symbols>
      <symbol name="0" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="style" type="QString" value="solid"/>
            <Option name="color" type="QString" value="94,60,153,110"/>
            <Option name="outline_style" type="QString" value="solid"/>
            <Option name="outline_color" type="QString" value="94,60,153,255"/>
            <Option name="outline_width" type="QString" value="0.6"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="joinstyle" type="QString" value="miter"/>
          </Option>
        </layer>
      </symbol>
      <symbol name="1" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="style" type="QString" value="no"/>
            <Option name="color" type="QString" value="0,0,0,0"/>
            <Option name="outline_style" type="QString" value="solid"/>
            <Option name="outline_color" type="QString" value="27,120,55,255"/>
            <Option name="outline_width" type="QString" value="0.5"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="joinstyle" type="QString" value="miter"/>
          </Option>
        </layer>
      </symbol>
      <symbol name="2" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="style" type="QString" value="solid"/>
            <Option name="color" type="QString" value="150,150,150,70"/>
            <Option name="outline_style" type="QString" value="dash"/>
            <Option name="outline_color" type="QString" value="90,90,90,255"/>
            <Option name="outline_width" type="QString" value="0.5"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="joinstyle" type="QString" value="miter"/>
          </Option>
        </layer>
      </symbol>
    </symbols>
  </renderer-v2>
  <aliases>
    <alias field="event_id" name="Event"/>
    <alias field="taken" name="Taken"/>
    <alias field="outcome" name="Outcome"/>
    <alias field="status" name="Status"/>
    <alias field="observed_share" name="Share of the ground observed"/>
    <alias field="changed_share" name="Share of it changed"/>
    <alias field="probability_mean" name="Mean probability"/>
    <alias field="area_m2" name="Area (m²)"/>
    <alias field="parts" name="Parts"/>
    <alias field="relation" name="What happened to its shape"/>
    <alias field="scene" name="Scene"/>
    <alias field="baseline" name="Compared with"/>
    <alias field="site" name="Site"/>
  </aliases>
  <previewExpression>"event_id" || ' ' || format_date("taken", 'yyyy-MM-dd')</previewExpression>
  <mapTip><![CDATA[<b>Event [% "event_id" %], [% coalesce(format_date("taken", 'yyyy-MM-dd'), '-') %]: [% "outcome" %]</b>
<table>
<tr><td>Ground observed</td><td>[% round(100 * "observed_share") %] %</td></tr>
<tr><td>of it changed</td><td>[% coalesce(round(100 * "changed_share") || ' %', '-') %]</td></tr>
<tr><td>Probability</td><td>[% coalesce(round(100 * "probability_mean") || ' %', '-') %]</td></tr>
<tr><td>Event</td><td>[% "status" || CASE WHEN "relation" = '' THEN '' ELSE ', ' || "relation" END %]</td></tr>
<tr><td>Scene</td><td>[% "scene" %]</td></tr>
<tr><td>Compared with</td><td>[% coalesce("baseline", '-') %]</td></tr>
</table>]]></mapTip>
</qgis>
