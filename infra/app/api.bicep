// The function app and its plan.
@description('Name of the function app.')
param name string

@description('Name of the plan.')
param planName string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@allowed([
  'flexConsumption'
  'elasticPremium'
])
@description('Hosting plan.')
param plan string

@description('Memory of one instance on Flex Consumption, MB.')
param instanceMemoryMB int

@description('Most instances on Flex Consumption.')
param maximumInstanceCount int

@description('Instances on Flex Consumption that always wait for HTTP requests.')
param alwaysReadyInstances int

@description('Size of an instance on Elastic Premium.')
param premiumSku string

@description('Most instances on Elastic Premium.')
param premiumMaximumInstances int

@description('The identity that the app runs as.')
param backupIdentityResourceId string

@description('Its client id.')
param backupIdentityClientId string

@description('The identity that restores write to the workspace as.')
param restoreIdentityResourceId string

@description('Its client id.')
param restoreIdentityClientId string

@description('The identity that App Service Authentication proves itself with.')
param signInIdentityResourceId string

@description('Its client id.')
param signInIdentityClientId string

@description('The identity that the platform fetches the package with.')
param deployIdentityResourceId string

@description('Blob service of the app\'s state.')
param blobEndpoint string

@description('Queue service of the app\'s state.')
param queueEndpoint string

@description('Table service of the app\'s state.')
param tableEndpoint string

@description('Blob service of the app\'s package.')
param packageEndpoint string

@description('Container of the app\'s package.')
param packageContainerName string

@description('Blob service of the audit anchors.')
param anchorEndpoint string

@description('Container of the audit anchors.')
param anchorContainerName string

@description('Address of the vault.')
param vaultUri string

@description('Connection string of Application Insights. It holds no secret: local authentication is off.')
param connectionString string

@description('Address of the Databricks workspace.')
param databricksHost string

@description('SQL warehouse that reads the audit table.')
param databricksWarehouseId string

@description('Address of the Git repository.')
param gitRemoteUrl string

@description('Branch of the backup.')
param gitBranch string

@description('Workspace folder that is backed up.')
param backupRoot string

@description('When the daily backup starts.')
param backupSchedule string

@description('When the daily verification starts.')
param verifySchedule string

@description('Share of all notebooks that one run may remove.')
param deletionGuardShare string

@description('Hours without a successful run after which people are told.')
param heartbeatHours int

@description('Who gets mails.')
param mailTo string

@description('Who mails are from.')
param mailFrom string

@description('Address of Communication Services; empty where there are none.')
param mailEndpoint string

@description('Client id of the app registration; empty where App Service signs nobody in.')
param authClientId string

@description('Client ids of further programs, with commas between them.')
param authAllowedClientIds string

@description('App settings beside those made here.')
param extraAppSettings object

@description('Whether the app is reached through a private endpoint alone.')
param privateInbound bool

@description('Subnet of the app\'s outgoing calls; empty where they go over the internet.')
param appSubnetResourceId string

@description('Subnet of private endpoints.')
param endpointSubnetResourceId string

@description('Private DNS zone of function apps.')
param siteZoneResourceId string

var isFlex = plan == 'flexConsumption'
var isIntegrated = !empty(appSubnetResourceId)
var isClosed = privateInbound && !empty(endpointSubnetResourceId)
var hasSignIn = !empty(authClientId)
// Azure's own command line, with which people fetch tokens for the API: az account get-access-token.
var azureCliClientId = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
var ownClientIds = [
  authClientId
  azureCliClientId
]
var furtherClientIds = empty(authAllowedClientIds) ? [] : split(authAllowedClientIds, ',')

var platformSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: backupIdentityClientId
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${backupIdentityClientId};Authorization=AAD'
  // Without it the host sends the app's log records a second time.
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
}

// Azure Files, where Elastic Premium keeps code otherwise, knows no identities: the package is a blob.
var premiumSettings = isFlex ? {} : {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  WEBSITE_RUN_FROM_PACKAGE: '${packageEndpoint}${packageContainerName}/notebook-backup.zip'
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: deployIdentityResourceId
}

var signInSettings = hasSignIn ? {
  OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: signInIdentityClientId
  WEBSITE_AUTH_AAD_ALLOWED_TENANTS: tenant().tenantId
} : {}

var backupSettings = {
  AZURE_CLIENT_ID: backupIdentityClientId
  BACKUP_RESTORE_CLIENT_ID: restoreIdentityClientId
  DATABRICKS_HOST: databricksHost
  GIT_REMOTE_URL: gitRemoteUrl
  GIT_BRANCH: gitBranch
  BACKUP_ROOT: backupRoot
  BACKUP_SCHEDULE: backupSchedule
  BACKUP_VERIFY_SCHEDULE: verifySchedule
  BACKUP_CONTAINER: 'backup'
  BACKUP_DELETION_GUARD_SHARE: deletionGuardShare
  BACKUP_HEARTBEAT_HOURS: string(heartbeatHours)
  BACKUP_AUDIT_ANCHOR_URI: anchorEndpoint
  BACKUP_AUDIT_ANCHOR_CONTAINER: anchorContainerName
  KEY_VAULT_URI: vaultUri
}

var warehouseSettings = empty(databricksWarehouseId) ? {} : {
  DATABRICKS_WAREHOUSE_ID: databricksWarehouseId
}

var recipientSettings = empty(mailTo) ? {} : {
  BACKUP_MAIL_TO: mailTo
}

var senderSettings = empty(mailFrom) ? {} : {
  BACKUP_MAIL_FROM: mailFrom
}

var endpointSettings = empty(mailEndpoint) ? {} : {
  BACKUP_MAIL_ENDPOINT: mailEndpoint
}

module appServicePlan 'br/public:avm/res/web/serverfarm:0.7.0' = {
  // checkov:skip=CKV_AZURE_225: a backup that a zone's loss delays goes on by itself, within its day
  name: 'app-service-plan'
  params: {
    name: planName
    location: location
    tags: tags
    kind: isFlex ? 'functionapp' : 'elastic'
    reserved: true
    skuName: isFlex ? 'FC1' : premiumSku
    skuCapacity: 1
    maximumElasticWorkerCount: isFlex ? 1 : premiumMaximumInstances
    zoneRedundant: false
  }
}

module functionApp 'br/public:avm/res/web/site:0.24.0' = {
  // checkov:skip=CKV_AZURE_17: people come with browsers and sign in with Entra ID: they have no certificates
  // checkov:skip=CKV_AZURE_212: the app scales to nothing between runs, and a run goes on where an instance was lost
  // checkov:skip=CKV_AZURE_213: the platform replaces instances of Flex Consumption by itself; Elastic Premium has the health check
  // checkov:skip=CKV_AZURE_222: privateInbound switches public access off; without it App Service Authentication guards
  name: 'function-app'
  params: {
    name: name
    location: location
    // azd finds the app by this tag.
    tags: union(tags, { 'azd-service-name': 'api' })
    kind: 'functionapp,linux'
    serverFarmResourceId: appServicePlan.outputs.resourceId
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: isClosed ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetResourceId: isIntegrated ? appSubnetResourceId : null
    keyVaultAccessIdentityResourceId: backupIdentityResourceId
    managedIdentities: {
      userAssignedResourceIds: [
        backupIdentityResourceId
        restoreIdentityResourceId
        signInIdentityResourceId
        deployIdentityResourceId
      ]
    }
    basicPublishingCredentialsPolicies: [
      {
        name: 'ftp'
        allow: false
      }
      {
        name: 'scm'
        allow: false
      }
    ]
    functionAppConfig: isFlex ? {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${packageEndpoint}${packageContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: deployIdentityResourceId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: (alwaysReadyInstances == 0) ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
      }
    } : null
    siteConfig: isFlex ? {
      alwaysOn: false
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
    } : {
      alwaysOn: false
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      linuxFxVersion: 'PYTHON|3.13'
      healthCheckPath: '/api/health'
      functionAppScaleLimit: premiumMaximumInstances
      minimumElasticInstanceCount: 1
      vnetRouteAllEnabled: isIntegrated
      // Queues behind private endpoints are seen by the app alone, not by the platform that scales it.
      functionsRuntimeScaleMonitoringEnabled: isIntegrated
    }
    configs: [
      {
        name: 'appsettings'
        // What the template no longer says goes.
        retainCurrentAppSettings: false
        properties: union(
          platformSettings,
          premiumSettings,
          signInSettings,
          backupSettings,
          warehouseSettings,
          recipientSettings,
          senderSettings,
          endpointSettings,
          extraAppSettings
        )
      }
      {
        name: 'authsettingsV2'
        properties: {
          platform: {
            enabled: hasSignIn
          }
          globalValidation: {
            requireAuthentication: hasSignIn
            unauthenticatedClientAction: 'RedirectToLoginPage'
            redirectToProvider: 'azureactivedirectory'
            excludedPaths: [
              '/api/health'
              '/api/openapi.json'
            ]
          }
          httpSettings: {
            requireHttps: true
          }
          identityProviders: hasSignIn ? {
            azureActiveDirectory: {
              enabled: true
              registration: {
                clientId: authClientId
                clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
                openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
              }
              validation: {
                allowedAudiences: [
                  authClientId
                  'api://${authClientId}'
                ]
                defaultAuthorizationPolicy: {
                  allowedApplications: concat(ownClientIds, furtherClientIds)
                }
              }
            }
          } : {}
          login: {
            cookieExpiration: {
              convention: 'FixedTime'
              timeToExpiration: '08:00:00'
            }
            nonce: {
              validateNonce: true
              nonceExpirationInterval: '00:05:00'
            }
            tokenStore: {
              enabled: false
            }
          }
        }
      }
    ]
    privateEndpoints: isClosed ? [
      {
        service: 'sites'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: siteZoneResourceId
            }
          ]
        }
      }
    ] : []
  }
}

output name string = functionApp.outputs.name
output hostName string = functionApp.outputs.defaultHostname
