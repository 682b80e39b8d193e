<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16" styleCategories="AllStyleCategories" labelsEnabled="0">
  <temporal enabled="1" mode="2" startField="first_seen" endField="resolved_on" durationField="" durationUnit="days" fixedDuration="0" accumulate="0" startExpression="" endExpression="">
    <fixedRange>
      <start></start>
      <end></end>
    </fixedRange>
  </temporal>
  <renderer-v2 type="categorizedSymbol" attr="status" symbollevels="0" enableorderby="0" forceraster="0">
    <categories>
      <category render="true" symbol="0" value="new" label="new" type="string"/>
      <category render="true" symbol="1" value="confirmed" label="confirmed" type="string"/>
      <category render="true" symbol="2" value="unobserved" label="unobserved: cloud since" type="string"/>
      <category render="true" symbol="3" value="resolved" label="resolved: no longer there" type="string"/>
      <category render="true" symbol="4" value="merged" label="merged into an older one" type="string"/>
    </categories>
    <symbols>
      <symbol name="0" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="style" type="QString" value="solid"/>
            <Option name="color" type="QString" value="230,97,1,110"/>
            <Option name="outline_style" type="QString" value="solid"/>
            <Option name="outline_color" type="QString" value="230,97,1,255"/>
            <Option name="outline_width" type="QString" value="0.6"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="joinstyle" type="QString" value="miter"/>
          </Option>
        </layer>
      </symbol>
      <symbol name="1" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
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
      <symbol name="3" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
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
      <symbol name="4" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="style" type="QString" value="no"/>
            <Option name="color" type="QString" value="0,0,0,0"/>
            <Option name="outline_style" type="QString" value="dot"/>
            <Option name="outline_color" type="QString" value="150,150,150,255"/>
            <Option name="outline_width" type="QString" value="0.4"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="joinstyle" type="QString" value="miter"/>
          </Option>
        </layer>
      </symbol>
    </symbols>
  </renderer-v2>
  <aliases>
    <alias field="event_id" name="Event"/>
    <alias field="status" name="Status"/>
    <alias field="first_seen" name="First seen"/>
    <alias field="last_seen" name="Last seen"/>
    <alias field="confirmed_on" name="Confirmed on"/>
    <alias field="resolved_on" name="Resolved on"/>
    <alias field="observations" name="Valid observations"/>
    <alias field="seen" name="Seen"/>
    <alias field="area_m2" name="Area (m²)"/>
    <alias field="probability_mean" name="Mean probability"/>
    <alias field="parts" name="Parts"/>
    <alias field="merged_into" name="Merged into"/>
    <alias field="follows" name="Follows"/>
    <alias field="site" name="Site"/>
  </aliases>
  <previewExpression>'Event ' || "event_id"</previewExpression>
  <mapTip><![CDATA[<b>Event [% "event_id" %]: [% "status" %]</b>
<table>
<tr><td>First seen</td><td>[% coalesce(format_date("first_seen", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Confirmed</td><td>[% coalesce(format_date("confirmed_on", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Last seen</td><td>[% coalesce(format_date("last_seen", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Resolved</td><td>[% coalesce(format_date("resolved_on", 'yyyy-MM-dd'), '-') %]</td></tr>
<tr><td>Seen</td><td>[% "seen" || ' of ' || "observations" || ' valid observations' %]</td></tr>
<tr><td>Probability</td><td>[% round(100 * "probability_mean") %] %</td></tr>
<tr><td>Area</td><td>[% CASE WHEN "area_m2" IS NULL THEN '-' WHEN "area_m2" < 10000 THEN format_number("area_m2", 0) || ' m²' ELSE format_number("area_m2" / 10000, 1) || ' ha' END %]</td></tr>
</table>]]></mapTip>
</qgis>
