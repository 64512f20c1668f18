// Who is told, and of what. Each rule asks a query of infra/queries for one figure, and has a runbook of its name.
@description('Name of the action group.')
param actionGroupName string

@description('What the names of the rules begin with.')
param rulePrefix string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Application Insights component that the queries of what the app measures ask.')
param componentResourceId string

@description('Log Analytics workspace that the queries of what Azure logs ask.')
param workspaceResourceId string

@description('Addresses that are told, with commas between them.')
param emails string

@description('Hours without a successful run.')
param noSuccessHours int

@description('Milliseconds within which 95 of 100 answers are meant to come.')
param answerTargetMilliseconds int

@description('Days before a credential expires.')
param credentialWarningDays int

@description('Gigabytes of the repository.')
param repositorySizeGigabytes int

var runbooks = 'docs/runbooks.md'

// Frequency, window and range are ISO 8601 durations: how often it is asked, over which time, and how far back where
// that is farther than the window.
var rules = [
  {
    name: 'run-failed'
    title: 'A backup run failed'
    severity: 1
    query: loadTextContent('../queries/run-failed.kql')
    measure: 'runs'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'run-partial'
    title: 'A backup run named failures or held deletions'
    severity: 2
    query: loadTextContent('../queries/run-partial.kql')
    measure: 'runs'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'no-success'
    title: 'No backup run succeeded for too long'
    severity: 1
    query: loadTextContent('../queries/no-success.kql')
    measure: 'hours'
    operator: 'GreaterThan'
    threshold: noSuccessHours
    frequency: 'PT30M'
    window: 'PT1H'
    range: 'P2D'
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'poison-messages'
    title: 'A queue message failed at every delivery'
    severity: 2
    query: loadTextContent('../queries/poison-messages.kql')
    measure: 'messages'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT30M'
    range: null
    dimension: 'queue'
    asked: componentResourceId
  }
  {
    name: 'deletions-held'
    title: 'A run held deletions back'
    severity: 2
    query: loadTextContent('../queries/deletions-held.kql')
    measure: 'notebooks'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'verification-failed'
    title: 'A verification found problems, or could not be done'
    severity: 1
    query: loadTextContent('../queries/verification-failed.kql')
    measure: 'verifications'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'restore-failed'
    title: 'A restore failed, or is partial'
    severity: 2
    query: loadTextContent('../queries/restore-failed.kql')
    measure: 'restores'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT5M'
    window: 'PT15M'
    range: null
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'slow-answers'
    title: 'People wait for answers'
    severity: 3
    query: loadTextContent('../queries/slow-answers.kql')
    measure: 'milliseconds'
    operator: 'GreaterThan'
    threshold: answerTargetMilliseconds
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: 'answer'
    asked: componentResourceId
  }
  {
    name: 'credential-expiry'
    title: 'A credential is near its expiry'
    severity: 2
    query: loadTextContent('../queries/credential-expiry.kql')
    measure: 'days'
    operator: 'LessThanOrEqual'
    threshold: credentialWarningDays
    frequency: 'PT6H'
    window: 'PT6H'
    range: 'P2D'
    dimension: 'credential'
    asked: componentResourceId
  }
  {
    name: 'repository-size'
    title: 'The repository nears its advised size'
    severity: 3
    query: loadTextContent('../queries/repository-size.kql')
    measure: 'gigabytes'
    operator: 'GreaterThanOrEqual'
    threshold: repositorySizeGigabytes
    frequency: 'PT6H'
    window: 'PT6H'
    range: 'P2D'
    dimension: ''
    asked: componentResourceId
  }
  {
    name: 'package-changed'
    title: 'The package of the app was changed'
    severity: 3
    query: loadTextContent('../queries/package-changed.kql')
    measure: 'changes'
    operator: 'GreaterThan'
    threshold: 0
    frequency: 'PT15M'
    window: 'PT1H'
    range: null
    dimension: 'caller'
    asked: workspaceResourceId
  }
]

module actionGroup 'br/public:avm/res/insights/action-group:0.8.0' = {
  name: 'action-group'
  params: {
    name: actionGroupName
    groupShortName: 'backup'
    location: 'global'
    tags: tags
    emailReceivers: [for address in split(emails, ','): {
      name: trim(address)
      emailAddress: trim(address)
      useCommonAlertSchema: true
    }]
  }
}

module queryRules 'br/public:avm/res/insights/scheduled-query-rule:0.6.0' = [for rule in rules: {
  name: 'rule-${rule.name}'
  params: {
    name: '${rulePrefix}${rule.name}'
    location: location
    tags: tags
    alertDisplayName: 'Notebook backup: ${rule.title}'
    alertDescription: '${rule.title}. What to do: ${runbooks}#${rule.name}'
    kind: 'LogAlert'
    severity: rule.severity
    enabled: true
    autoMitigate: true
    scopes: [
      rule.asked
    ]
    evaluationFrequency: rule.frequency
    windowSize: rule.window
    queryTimeRange: rule.range
    // The tables come into being with the first data, after this.
    skipQueryValidation: true
    criterias: {
      allOf: [
        {
          query: rule.query
          metricMeasureColumn: rule.measure
          timeAggregation: 'Maximum'
          operator: rule.operator
          threshold: rule.threshold
          dimensions: empty(rule.dimension) ? [] : [
            {
              name: rule.dimension
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroupResourceIds: [
        actionGroup.outputs.resourceId
      ]
      customProperties: {
        runbook: '${runbooks}#${rule.name}'
      }
    }
  }
}]
